# SPDX-License-Identifier: Apache-2.0
"""How often a window is decoded: each unit, or less often where the machine is too slow for that.

A machine that needs two seconds for a window of a live source decodes every two seconds: what came
meanwhile is read first. So nothing queues, and captions come as early as the machine can.
"""

from __future__ import annotations

from collections.abc import Callable

from edgestream.events import Lag

MAX_UNIT_MS = 8000.0  # of sound that is read at most before a window is decoded


class Pace:
    """One stream's: asked after each row whether to decode."""

    def __init__(
        self, unit_rows: int, row_ms: float, behind_ms: Callable[[], float] | None
    ) -> None:
        """`behind_ms` tells how far a live source is ahead of its reader; None: it waits for it."""
        self._unit_rows, self._row_ms, self._behind_ms = unit_rows, row_ms, behind_ms
        self.reset()

    def reset(self) -> None:
        """Back to the usual unit."""
        self._told_rows = self._unit_rows

    def rows_to_go(self, n_waiting: int) -> int:
        """Rows to be read before the window is decoded, of which `n_waiting` are there; >= 1."""
        unit = self._unit_rows
        if n_waiting < unit:
            return unit - n_waiting
        n_most = round(MAX_UNIT_MS / self._row_ms)
        return min(unit, max(1, n_most - n_waiting))

    def is_due(self, n_waiting: int) -> bool:
        """Whether the window is decoded with so many new rows."""
        return n_waiting >= self._unit_rows and not self.can_wait(n_waiting)

    def can_wait(self, n_waiting: int) -> bool:
        """Whether a live source is so far ahead that more is read first."""
        if self._behind_ms is None or n_waiting * self._row_ms >= MAX_UNIT_MS:
            return False
        return self._behind_ms() >= self._unit_rows * self._row_ms

    def told(self, n_rows: int) -> list[Lag]:
        """What is said of a window decoded after `n_rows`: each doubling once, until it is over.
        Fewer rows than a unit, before a pause, say nothing of the machine."""
        if n_rows < self._unit_rows:
            return []
        if n_rows < 2 * self._unit_rows:
            self._told_rows = self._unit_rows
            return []
        if n_rows < 2 * self._told_rows or self._behind_ms is None:
            return []
        self._told_rows = n_rows
        every_s, usual_s = (n * self._row_ms / 1000 for n in (n_rows, self._unit_rows))
        return [Lag(self._behind_ms(), f"words every {every_s:.1f} s, not every {usual_s:.1f} s")]
