# SPDX-License-Identifier: Apache-2.0
"""What a reader has not read yet; where that is too much, whole lines of it are left out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from edgestream.events import Lag
from edgestream.reader.units import Unit

MAX_WAITING = 512  # units: three minutes of speech


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the user."""

    question: str


@dataclass(frozen=True, slots=True)
class End:
    """The source has ended."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Nobody wants to hear more."""


Item = Unit | Asked | End


class WaitingUnits:
    """Units and questions in order. Example: with the lines A, B, C waiting and room for two, A is
    left out; a line of which the reader has begun to read stays.
    """

    def __init__(self, max_units: int | None = MAX_WAITING) -> None:
        """`max_units` may wait; None: any number, for sources that can be read at any time."""
        self._max_units = max_units
        self._items: deque[Item] = deque()
        self._n_units = 0
        self._inside_line = False  # of the line at the front, a part was taken

    def __len__(self) -> int:
        return len(self._items)

    def push(self, item: Item) -> Lag | None:
        """Adds one; says what was left out for it."""
        self._items.append(item)
        if not isinstance(item, Unit):
            return None
        self._n_units += 1
        if self._max_units is None or self._n_units <= self._max_units:
            return None
        n_lines = self._leave_out(self._n_units - self._max_units // 2)
        if not n_lines:
            return None
        lines = "a line" if n_lines == 1 else f"{n_lines} lines"
        return Lag(self._behind_ms(item), f"reading along left out {lines}")

    def pop(self) -> Item:
        """The oldest; there must be one."""
        item = self._items.popleft()
        if isinstance(item, Unit):
            self._n_units -= 1
            self._inside_line = not item.ends_line
        return item

    def clear(self) -> None:
        """Drops all."""
        self._items.clear()
        self._n_units = 0

    def _leave_out(self, n_units: int) -> int:
        """Drops the oldest whole lines until so many units are gone; how many lines that were."""
        kept: list[Item] = []
        line: list[Item] = []
        begun, n_lines = self._inside_line, 0
        while n_units > 0 and self._items:
            item = self._items.popleft()
            if not isinstance(item, Unit):
                kept.append(item)
                continue
            line.append(item)
            if not item.ends_line:
                continue
            if begun:
                kept += line
            else:
                n_units -= len(line)
                self._n_units -= len(line)
                n_lines += 1
            begun, line = False, []
        self._items.extendleft(reversed([*kept, *line]))
        return n_lines

    def _behind_ms(self, newest: Unit) -> float:
        oldest = next((item for item in self._items if isinstance(item, Unit)), newest)
        return max(0.0, newest.end_ms - oldest.start_ms)
