# SPDX-License-Identifier: Apache-2.0
"""Lines that somebody types while something else goes on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable


class Questions:
    """Reads lines on a thread; `take` gives those that came."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._came: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(lines,), daemon=True).start()

    def take(self) -> list[str]:
        """The questions since the last time, in order; lines without words are none."""
        taken = []
        while not self._came.empty():
            taken.append(self._came.get())
        return taken

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            if question := " ".join(line.split()):
                self._came.put(question)
