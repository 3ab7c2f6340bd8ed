# SPDX-License-Identifier: Apache-2.0
"""A plain peer for the comparison: what stands out of the background, followed by its middle.

What many programs with a camera do: a mixture of Gaussians for each pixel (Zivkovic 2004, MOG2 of
OpenCV), blobs of what is left, and the nearest blob in the next picture is the same thing. It tells
`enters` and `leaves` at the nearest border, `stops` and `moves` by speed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream.events import Comment, Event, Happening
from edgestream.sources.picture import Picture
from edgestream.system.opencv import cv2

WIDTH_PX = 320
LEAST_AREA = 0.005  # of the picture
FLOODED = 0.9  # of the picture: the light or the camera changed, and no thing came
LEARNING = 0.0005  # of a pixel's new colour a picture; MOG2's own begins fast and swallows things
OPENING_PX, CLOSING_PX = 3, 15
REACH = 0.1  # of the width, that a thing goes from one picture to the next at most
AT_BORDER = 0.03  # of the width or height, from a border
SURE_PICTURES = 5  # until a blob is a thing
LOST_MS = 900.0  # not seen for so long, a thing is gone
SPELL_MS = 1000.0  # over which a speed is taken
STOPPED, MOVING = 0.02, 0.12  # widths a second
ENTERED_SPEED = 0.1  # widths a second, without which nothing comes in

Point = NDArray[np.float64]  # x, y in widths of the picture
Box = tuple[float, float, float, float]  # left, top, right, bottom in shares of the picture


@dataclass(slots=True, eq=False)
class Thing:
    """A blob that is followed."""

    middle: Point
    box: Box
    first_ms: float
    seen_ms: float
    side_in: str | None  # of the picture, where it was first seen
    n_seen: int = 1
    told: bool = False
    stands: bool = False
    path: deque[tuple[float, Point]] = field(default_factory=lambda: deque(maxlen=30))

    def move(self, middle: Point, box: Box, time_ms: float) -> None:
        """It is here now."""
        self.middle, self.box, self.seen_ms = middle, box, time_ms
        self.n_seen += 1
        self.path.append((time_ms, middle))

    def velocity(self) -> Point | None:
        """Widths a second over the last SPELL_MS; None while that is not known."""
        spell = [(t, at) for t, at in self.path if t >= self.seen_ms - SPELL_MS]
        if len(spell) < 3 or spell[-1][0] - spell[0][0] < SPELL_MS / 2:
            return None
        return np.asarray(1000 * (spell[-1][1] - spell[0][1]) / (spell[-1][0] - spell[0][0]))


class Blobs:
    """Push pictures, get comments; as a PictureStream."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The next picture is a first one."""
        self._background = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
        self._things: list[Thing] = []
        self._begun = False

    def push(self, picture: Picture) -> list[Event]:
        """A picture, its time later than that of the one before, to the comments that it brings."""
        found = self._blobs(picture.rgb)
        if found is None:
            self._things = []
            return []
        said = []
        for thing, blob in self._pairs(found):
            thing.move(*blob, picture.time_ms)
            said += self._tell(thing)
        gone = [t for t in self._things if picture.time_ms - t.seen_ms >= LOST_MS]
        for thing in gone:
            said += self._end(thing, picture.time_ms)
        self._things = [t for t in self._things if t not in gone]
        return [*said]

    def finish(self) -> list[Event]:
        """Nothing waits here."""
        return []

    def _blobs(self, rgb: NDArray[np.uint8]) -> list[tuple[Point, Box]] | None:
        """Middle and box of what stands out; None where nearly everything does."""
        width, height = WIDTH_PX, max(1, round(WIDTH_PX * rgb.shape[0] / rgb.shape[1]))
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        mask = self._background.apply(small, learningRate=LEARNING)
        begun, self._begun = self._begun, True
        if not begun:  # the first picture is all background
            return []
        for way, size_px in ((cv2.MORPH_OPEN, OPENING_PX), (cv2.MORPH_CLOSE, CLOSING_PX)):
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size_px, size_px))
            mask = cv2.morphologyEx(mask, way, kernel)
        if np.count_nonzero(mask) > FLOODED * mask.size:
            return None
        n, _, stats, middles = cv2.connectedComponentsWithStats(mask)
        found = []
        for i in range(1, n):
            left, top, w, h, area = (int(value) for value in stats[i])
            if area >= LEAST_AREA * mask.size:
                box = (left / width, top / height, (left + w) / width, (top + h) / height)
                found.append((np.asarray(middles[i]) / width, box))
        return found

    def _pairs(self, found: list[tuple[Point, Box]]) -> list[tuple[Thing, tuple[Point, Box]]]:
        """Things with their blobs, the nearest first; what is left of the blobs are new things."""
        ways = sorted(
            (float(np.linalg.norm(thing.middle - blob[0])), i, j)
            for i, thing in enumerate(self._things)
            for j, blob in enumerate(found)
        )
        taken: dict[int, int] = {}
        for way, i, j in ways:
            if way <= REACH and i not in taken and j not in taken.values():
                taken[i] = j
        pairs = [(self._things[i], found[j]) for i, j in taken.items()]
        for j, blob in enumerate(found):
            if j not in taken.values():
                new = Thing(*blob, np.inf, 0.0, border(blob[1]), n_seen=0)
                self._things.append(new)
                pairs.append((new, blob))
        return pairs

    def _tell(self, thing: Thing) -> list[Comment]:
        """What a thing did by the picture in which it was just seen."""
        now_ms = thing.seen_ms
        thing.first_ms = min(thing.first_ms, now_ms)
        velocity = thing.velocity()
        if not thing.told:
            if velocity is None or not came_in(thing, velocity):
                return []
            thing.told = True
            return [comment("enters", thing.side_in, thing.first_ms, now_ms)]
        if velocity is None:
            return []
        speed = float(np.linalg.norm(velocity))
        if not thing.stands and speed < STOPPED:
            thing.stands = True
            return [comment("stops", None, now_ms - SPELL_MS, now_ms)]
        if thing.stands and speed > MOVING:
            thing.stands = False
            return [comment("moves", towards(velocity), now_ms - SPELL_MS / 2, now_ms)]
        return []

    def _end(self, thing: Thing, now_ms: float) -> list[Comment]:
        """It was not seen again: it left, if it was last seen at a border."""
        side = border(thing.box)
        if not thing.told or side is None:
            return []
        return [comment("leaves", side, thing.seen_ms, now_ms)]


def came_in(thing: Thing, velocity: Point) -> bool:
    """Whether it began at a border and goes away from it."""
    if thing.side_in is None or thing.n_seen < SURE_PICTURES:
        return False
    x, y = velocity
    inwards = {"left": x, "right": -x, "top": y, "bottom": -y}
    return bool(inwards[thing.side_in] >= ENTERED_SPEED)


def border(box: Box) -> str | None:
    """The border that a box is nearest to; None where it is at none."""
    left, top, right, bottom = box
    room = {"left": left, "top": top, "right": 1 - right, "bottom": 1 - bottom}
    side = min(room, key=lambda each: room[each])
    return side if room[side] <= AT_BORDER else None


def towards(velocity: Point) -> str:
    """The direction of the larger part of a velocity."""
    x, y = velocity
    if abs(x) >= abs(y):
        return "right" if x > 0 else "left"
    return "bottom" if y > 0 else "top"


def comment(kind: str, where: str | None, start_ms: float, now_ms: float) -> Comment:
    """A comment in fields and a few words."""
    moves = kind == "moves"
    happening = Happening(kind, None if moves else where, where if moves else None)
    text = f"Something {kind} {where or ''}".strip()
    return Comment.of(text, now_ms, happening, max(0.0, start_ms))
