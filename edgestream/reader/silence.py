# SPDX-License-Identifier: Apache-2.0
"""How long somebody gave no sign of life."""

from __future__ import annotations

import time

MAX_STEP_S = 1.0


class Silence:
    """Counts time between looks, and of that MAX_STEP_S at most each. Example: looked at ten times
    a second, then once more after a minute in which the machine was stopped, it is a second longer.
    """

    def __init__(self) -> None:
        self._broken = False
        self._silent_s = 0.0
        self._looked_s = time.monotonic()

    def end(self) -> None:
        """A sign of life; from any thread."""
        self._broken = True

    def look_s(self) -> float:
        """How long it lasts, in seconds; on one thread."""
        now_s = time.monotonic()
        step_s, self._looked_s = now_s - self._looked_s, now_s
        self._silent_s += min(step_s, MAX_STEP_S)
        if self._broken:
            self._broken, self._silent_s = False, 0.0
        return self._silent_s
