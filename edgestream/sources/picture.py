# SPDX-License-Identifier: Apache-2.0
"""Pictures with times, and where they come from: an iterator of Pictures and Gaps on one clock."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import UsageError
from edgestream.events import Gap, Notice
from edgestream.system.checks import finite

SIZE_CHANGED = "picture size changed"
MIN_FPS, MAX_FPS = 0.01, 1000.0


@dataclass(frozen=True, slots=True)
class Picture:
    """`rgb`: uint8 [height, width, 3]. `time_ms`: when it was taken, on the source's clock."""

    rgb: NDArray[np.uint8]
    time_ms: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing has come since `since_ms`; given again and again, with the time by now, until
    something does. It lets a reader do what else it has to do."""

    since_ms: float
    time_ms: float


class PictureSource(Protocol):
    """Iterate once over its Pictures, and a Gap wherever some were lost; times only rise.

    A source that breaks off and may come back gives a Notice, then Waiting after Waiting, and one
    Gap when it is back or at the end.

    `stop()` from any thread or signal handler ends that soon. `behind_ms` is how long ago the last
    picture was taken when it was handed over. `skipped` pictures came while the reader was busy and
    made way for later ones.
    """

    live: bool
    name: str

    @property
    def now_ms(self) -> float:
        """On its clock. Of a file that is read fast the clock stands between two pictures."""
        ...

    @property
    def skipped(self) -> int: ...

    @property
    def behind_ms(self) -> float: ...

    def __iter__(self) -> Iterator[Picture | Gap | Notice | Waiting]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


def expect_fps(fps: float | None) -> None:
    """Raises UsageError unless `fps` is one that a camera can have, or none."""
    way_out = f"it must lie between {MIN_FPS:g} and {MAX_FPS:g}"
    if fps is not None and not MIN_FPS <= finite(fps, "fps", way_out) <= MAX_FPS:
        raise UsageError(f"fps is {fps:g}; {way_out}")


class Spacing:
    """Thins pictures to `fps` a second: the first of each interval is due. None: all are.

    `interval_ms` may be changed between two pictures; 0: all are due.
    """

    def __init__(self, fps: float | None) -> None:
        expect_fps(fps)
        self.interval_ms = 1000 / fps if fps else 0.0
        self._last_ms = -math.inf  # the newest one that was due

    def due(self, time_ms: float) -> bool:
        """Takes the times of all pictures in order; says which to keep."""
        due = not self.interval_ms or self._interval(time_ms) > self._interval(self._last_ms)
        if due:
            self._last_ms = time_ms
        return due

    def _interval(self, time_ms: float) -> float:
        # The least addition keeps times that were rounded down in the interval they begin.
        return float(np.floor(time_ms / self.interval_ms + 1e-6))
