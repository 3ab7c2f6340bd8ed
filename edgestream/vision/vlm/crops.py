# SPDX-License-Identifier: Apache-2.0
"""How followed things looked when they were last found, cut out of the source's own pictures.

What left is told of a second later, when it is in no picture any more: so the part of the picture
in which it was last found is kept for that long. Of what goes out, the last part that shows most of
it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.system.opencv import cv2
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.perception import Looked
from edgestream.vision.perception.track import Track

Rgb = NDArray[np.uint8]
ROOM = 0.2  # of a box's sides, that is shown around it on each side
LEAST = 0.15  # of the picture's sides, that is shown of it
MOST_ASPECT = 2.0  # of a part's sides, where the picture is large enough
WHOLE = 0.6  # of the largest that a thing was lately: what shows less shows a rest of it
KEPT_MS = 5000.0  # after a thing is not followed any more; longer than its leaving takes to be told


@dataclass(slots=True)
class Crop:
    """A thing as it was last found whole, with some room around it.

    `place`: its middle in the picture, x and y as shares. `alive_ms`: it was followed until then.
    """

    track: Track
    rgb: Rgb
    place: tuple[float, float]
    alive_ms: float


class Crops:
    """Push each picture and what it showed; about `max_pixels` are kept of each thing."""

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels = max_pixels
        self.reset()

    def reset(self) -> None:
        """Nothing was seen yet."""
        self.newest: Rgb | None = None  # the whole picture
        self._crops: dict[int, Crop] = {}
        self._time_ms = -math.inf

    def push(self, rgb: Rgb, looked: Looked) -> None:
        """A picture, uint8 [height, width, 3], and what it showed."""
        step = looked.step
        for number, crop in list(self._crops.items()):
            if self._time_ms - crop.alive_ms > KEPT_MS:  # at the picture before: it was told of
                del self._crops[number]
        self._time_ms = step.time_ms
        self.newest = rgb.copy()  # whoever pushed it may write in it again
        for track in (*step.alive, *step.hidden):
            if track.seen_ms == step.time_ms and not _is_rest(track):
                part = self._bounded(cut_out(rgb, track.sights[-1].box, looked.scale))
                place = place_of(track, looked)
                self._crops[track.number] = Crop(track, part, place, step.time_ms)
            elif crop_before := self._crops.get(track.number):
                crop_before.alive_ms = step.time_ms

    def of(self, number: int | None) -> Crop | None:
        """Of the track of this number, if it was followed lately."""
        return None if number is None else self._crops.get(number)

    def _bounded(self, rgb: Rgb) -> Rgb:
        """A copy, of no more pixels than a tower would look at."""
        height, width = rgb.shape[:2]
        scale = math.sqrt(self._max_pixels / (height * width))
        if scale >= 1:
            return rgb.copy()
        size = (math.ceil(width * scale), math.ceil(height * scale))  # no longer than it was
        return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _is_rest(track: Track) -> bool:
    """Whether less is seen of it than a moment ago, as of what goes out of the picture."""
    largest = max(sight.box.area for sight in track.sights)
    return track.sights[-1].box.area < WHOLE * largest


def place_of(track: Track, looked: Looked) -> tuple[float, float]:
    """Where the middle of a track was last found, x and y as shares of the picture."""
    x, y = track.sights[-1].box.centre
    return float(x / looked.width), float(y / looked.height)


def cut_out(rgb: Rgb, box: Box, scale: float) -> Rgb:
    """The part of a picture around a box, which is in pixels of the picture times `scale`."""
    height, width = rgb.shape[:2]
    left, top, right, bottom = around(box.scaled(1 / scale, 1 / scale), width, height)
    return rgb[top:bottom, left:right]


def around(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a part of a picture of this size, in whole pixels: the box and
    some room around it, neither tiny nor far longer than wide."""
    across = max((1 + 2 * ROOM) * box.width, LEAST * width)
    down = max((1 + 2 * ROOM) * box.height, LEAST * height)
    across, down = max(across, down / MOST_ASPECT), max(down, across / MOST_ASPECT)
    x, y = (float(at) for at in box.centre)
    left, right = _within(x, across, width)
    top, bottom = _within(y, down, height)
    return left, top, right, bottom


def _within(middle: float, length: float, whole: int) -> tuple[int, int]:
    """A stretch of this length around the middle, moved into 0 to `whole`."""
    size = min(whole, max(1, math.ceil(length)))
    begin = min(max(0, round(middle - size / 2)), whole - size)
    return begin, begin + size
