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
from edgestream.events import Gap
from edgestream.system.checks import finite

SIZE_CHANGED = "picture size changed"
MIN_FPS, MAX_FPS = 0.01, 1000.0


@dataclass(frozen=True, slots=True)
class Picture:
    """`rgb`: uint8 [height, width, 3]. `time_ms`: when it was taken, on the source's clock."""

    rgb: NDArray[np.uint8]
    time_ms: float


class PictureSource(Protocol):
    """Iterate once over its Pictures, and a Gap wherever some were lost; times only rise.

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

    def __iter__(self) -> Iterator[Picture | Gap]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


def expect_fps(fps: float | None) -> None:
    """Raises UsageError unless `fps` is one that a camera can have, or none."""
    way_out = f"it must lie between {MIN_FPS:g} and {MAX_FPS:g}"
    if fps is not None and not MIN_FPS <= finite(fps, "fps", way_out) <= MAX_FPS:
        raise UsageError(f"fps is {fps:g}; {way_out}")


class Spacing:
    """Thins pictures to `fps` a second: the first of each interval is due. None: all are."""

    def __init__(self, fps: float | None) -> None:
        expect_fps(fps)
        self._fps = fps
        self._last = -math.inf

    def due(self, time_ms: float) -> bool:
        """Takes the times of all pictures in order; says which to keep."""
        if self._fps is None:
            return True
        # The least addition keeps times that were rounded down in the interval they begin.
        interval = math.floor(time_ms * self._fps / 1000 + 1e-6)
        due, self._last = interval > self._last, max(interval, self._last)
        return due
