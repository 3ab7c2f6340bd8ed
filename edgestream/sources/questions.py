# SPDX-License-Identifier: Apache-2.0
"""Questions that people type while a stream runs."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable

MAX_WAITING = 16  # questions; whoever writes more of them waits, as at any full pipe


class Questions:
    """Lines, read on a thread, so that nobody waits for somebody who types. A question is a line
    that is not empty, its spaces single.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._waiting: queue.Queue[str] = queue.Queue(MAX_WAITING)
        self._reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._reader.start()

    def take(self) -> str | None:
        """The oldest question that waits; None: there is none now."""
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None

    @property
    def any_wait(self) -> bool:
        """Whether there is one."""
        return not self._waiting.empty()

    @property
    def ended(self) -> bool:
        """Whether all were taken, and no more can come."""
        return not self._reader.is_alive() and not self.any_wait

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            if question := " ".join(line.split()):
                self._waiting.put(question)
