# SPDX-License-Identifier: Apache-2.0
"""What happens in a scene, picture by picture, and what a viewer would say of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from textures import any_colour
from vocabulary import SIDES, SIZES, Event

PICTURE_HZ = 5
PICTURE_MS = 1000 / PICTURE_HZ
WIDTH, HEIGHT = 128, 96  # drawn at this size, then made smaller
RADII_PX = {"small": (6, 9), "middling": (12, 17), "large": (24, 33)}
AWAY = 1.5  # radii from the edge at which nothing of a thing is seen
# When a comment begins, in pictures after the event can be seen: one for a sure look at it.
DELAY = {"stops": 3, "enters": 2, "leaves": 1}
USUAL_DELAY = 2


@dataclass
class Thing:
    """What visits the scene; `path` [n, 2] is its middle in pixels, NaN while it is away."""

    size: str
    colour: str
    radius_px: float
    path: NDArray[np.float32]

    @property
    def here(self) -> NDArray[np.bool_]:
        """[n] whether its middle is in the picture."""
        return _inside(self.path)


@dataclass
class Script:
    """One scene of `n` pictures; arrays have one row a picture."""

    n: int
    random: np.random.Generator
    events: list[Event] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    at: int = 0

    def __post_init__(self) -> None:
        self.light = np.ones(self.n, np.float32)
        self.cover = np.zeros(self.n, np.float32)
        self.view = np.zeros((self.n, 2), np.float32)  # of the camera, in pixels

    def write(self) -> Script:
        """Fills the scene: quiet, something happens, quiet again."""
        acts = (*5 * [self._visit], self._pair, self._lights, self._lights, self._covering,
                self._covering, self._turning, self._turning)  # fmt: skip
        if self.random.random() < 0.08:
            return self
        while True:
            longest = 60 if self.random.random() < 0.1 else 16
            self.at += int(self.random.integers(3, longest))
            if self.at > self.n - 8:
                break
            acts[self.random.integers(len(acts))]()
        # What the scene's end cut off was not seen.
        self.events = [e for e in self.events if e.visible_ms < self.n * PICTURE_MS]
        return self

    def comments(self) -> dict[int, Event]:
        """The event that is spoken of after each picture, by picture."""
        spoken: dict[int, Event] = {}
        for event in sorted(self.events, key=lambda e: e.visible_ms):
            turn = round(event.visible_ms / PICTURE_MS) + DELAY.get(event.kind, USUAL_DELAY)
            while turn in spoken:
                turn += 1
            if turn < self.n:
                spoken[turn] = event
        return spoken

    def _tell(self, kind: str, turn: int, thing: Thing | None = None, side: str = "") -> None:
        size, colour = (thing.size, thing.colour) if thing else ("", "")
        self.events.append(Event(kind, turn * PICTURE_MS, size, colour, side))

    def _thing(self) -> Thing:
        """A visitor that is not called like the one before."""
        last = (self.things[-1].size, self.things[-1].colour) if self.things else None
        while True:
            name = SIZES[self.random.integers(len(SIZES))], any_colour(self.random)
            if name != last:
                break
        radius = self.random.uniform(*RADII_PX[name[0]])
        away = np.full((self.n, 2), np.nan, np.float32)
        self.things.append(Thing(*name, radius, away))
        return self.things[-1]

    def _pair(self) -> None:
        """A second visitor comes while the first is there."""
        begun = self.at
        self._visit()
        ended = self.at
        self.at = int(self.random.integers(begun + 3, max(begun + 4, ended - 3)))
        self._visit()
        self.at = max(self.at, ended)

    def _visit(self) -> None:
        thing = self._thing()
        from_side, to_side = (SIDES[i] for i in self.random.integers(0, 4, 2))
        outside = self._beyond(from_side, thing.radius_px)
        middle = self.random.uniform((0.3 * WIDTH, 0.3 * HEIGHT), (0.7 * WIDTH, 0.7 * HEIGHT))
        path = self._way(outside, middle)
        seen = np.flatnonzero(_inside(path))
        if len(seen):
            self._tell("enters", self.at + int(seen[0]), thing, from_side)
        self._move(thing, path)
        if self.random.random() < 0.6:
            still = int(self.random.integers(8, 26))
            self._tell("stops", self.at, thing)
            self._move(thing, np.repeat(middle[None], still, 0))
            self._tell("moves", self.at, thing, to_side)
        self._leave(thing, middle, to_side)

    def _leave(self, thing: Thing, middle: NDArray[np.float32], side: str) -> None:
        away = self._beyond(side, thing.radius_px)
        axis = 0 if side in ("left", "right") else 1
        away[1 - axis] = middle[1 - axis] + self.random.uniform(-0.15, 0.15) * HEIGHT
        path = self._way(middle, away)
        gone = np.flatnonzero(~_inside(path))
        if len(gone):
            self._tell("leaves", self.at + int(gone[0]), thing, side)
        self._move(thing, path)

    def _move(self, thing: Thing, path: NDArray[np.float32]) -> None:
        end = min(self.n, self.at + len(path))
        thing.path[self.at : end] = path[: max(0, end - self.at)]
        self.at += len(path)

    def _way(self, start: NDArray[np.float32], end: NDArray[np.float32]) -> NDArray[np.float32]:
        """From start to end in some pictures, often not quite straight."""
        n = int(self.random.integers(4, 22))
        part = (np.arange(1, n + 1) / n)[:, None]
        across = np.array([end[1] - start[1], start[0] - end[0]])
        bend = self.random.uniform(-0.06, 0.06) * np.sin(np.pi * part)
        return np.float32(start + (end - start) * part + across * bend)

    def _beyond(self, side: str, radius: float) -> NDArray[np.float32]:
        along = self.random.uniform(0.2, 0.8)
        if side in ("left", "right"):
            x = -AWAY * radius if side == "left" else WIDTH + AWAY * radius
            return np.float32((x, along * HEIGHT))
        y = -AWAY * radius if side == "top" else HEIGHT + AWAY * radius
        return np.float32((along * WIDTH, y))

    def _lights(self) -> None:
        dark = int(self.random.integers(8, 26))
        low = self.random.uniform(0.25, 0.55)
        # Half of the cameras get used to the dark.
        settled = low if self.random.random() < 0.5 else self.random.uniform(low, 0.75)
        turns = np.arange(dark)
        self._tell("light off", self.at)
        end = min(self.n, self.at + dark)
        curve = settled + (low - settled) * np.exp(-turns / 6)
        self.light[self.at : end] = curve[: max(0, end - self.at)]
        self.at += dark
        self._tell("light on", self.at)

    def _covering(self) -> None:
        long = int(self.random.integers(6, 20))
        self._tell("covered", self.at)
        self._tell("clear", self.at + long)
        self.cover[self.at : self.at + long] = 1
        if self.random.random() < 0.5 and self.at + long < self.n:
            self.cover[self.at] = self.random.uniform(0.3, 0.9)
        self.at += long

    def _turning(self) -> None:
        n = int(self.random.integers(2, 7))
        angle, far = self.random.uniform(0, 2 * np.pi), self.random.uniform(12, 30)
        self._tell("camera moves", self.at)
        way = np.float32(far * np.array([np.cos(angle), np.sin(angle)]))
        for turn in range(self.at, self.n):
            self.view[turn] += way * min(1.0, (turn - self.at + 1) / n)
        self.at += n


def _inside(path: NDArray[np.float32]) -> NDArray[np.bool_]:
    x, y = path.T
    return (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
