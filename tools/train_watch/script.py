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
# When a comment begins, in pictures after the event can be seen: one for a sure look at it.
DELAY = {"stops": 3, "enters": 2, "leaves": 1}
USUAL_DELAY = 2


@dataclass
class Thing:
    """What visits the scene."""

    size: str
    colour: str
    radius_px: float


@dataclass
class Script:
    """One scene of `n` pictures; arrays have one row a picture."""

    n: int
    random: np.random.Generator
    events: list[Event] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    at: int = 0

    def __post_init__(self) -> None:
        self.thing = np.full(self.n, -1)  # index of the visitor, -1: none
        self.position = np.zeros((self.n, 2), np.float32)  # of its middle, in pixels
        self.light = np.ones(self.n, np.float32)
        self.cover = np.zeros(self.n, np.float32)
        self.view = np.zeros((self.n, 2), np.float32)  # of the camera, in pixels

    def write(self) -> Script:
        """Fills the scene: quiet, something happens, quiet again."""
        if self.random.random() < 0.08:
            return self
        acts = (self._visit, self._visit, self._visit, self._visit, self._lights, self._covering,
                self._turning)  # fmt: skip
        while True:
            self.at += int(self.random.integers(3, 16))
            if self.at > self.n - 8:
                break
            acts[self.random.integers(len(acts))]()
        # What the scene's end cut off was not seen.
        self.events = [e for e in self.events if e.visible_ms < (self.n - 1) * PICTURE_MS]
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

    def _tell(self, kind: str, turn: int, side: str = "") -> None:
        thing = self.things[-1] if kind in ("enters", "leaves", "stops", "moves") else None
        size, colour = (thing.size, thing.colour) if thing else ("", "")
        self.events.append(Event(kind, turn * PICTURE_MS, size, colour, side))

    def _visit(self) -> None:
        size = SIZES[self.random.integers(len(SIZES))]
        radius = self.random.uniform(*RADII_PX[size])
        self.things.append(Thing(size, any_colour(self.random), radius))
        from_side, to_side = (SIDES[i] for i in self.random.integers(0, 4, 2))
        outside = self._beyond(from_side, radius)
        middle = self.random.uniform((0.3 * WIDTH, 0.3 * HEIGHT), (0.7 * WIDTH, 0.7 * HEIGHT))
        path = _line(outside, middle, int(self.random.integers(4, 22)))
        self._enter(path, from_side)
        if self.random.random() < 0.6:
            still = int(self.random.integers(8, 26))
            self._tell("stops", self.at)
            self._move(np.repeat(middle[None], still, 0))
            self._tell("moves", self.at, to_side)
        away = self._beyond(to_side, radius)
        axis = 0 if to_side in ("left", "right") else 1
        away[1 - axis] = middle[1 - axis] + self.random.uniform(-0.25, 0.25) * HEIGHT
        self._leave(_line(middle, away, int(self.random.integers(4, 22))), to_side)

    def _enter(self, path: NDArray[np.float32], side: str) -> None:
        seen = np.flatnonzero(_inside(path))
        if len(seen):
            self._tell("enters", self.at + int(seen[0]), side)
        self._move(path)

    def _leave(self, path: NDArray[np.float32], side: str) -> None:
        gone = np.flatnonzero(~_inside(path))
        if len(gone):
            self._tell("leaves", self.at + int(gone[0]), side)
        self._move(path)

    def _move(self, path: NDArray[np.float32]) -> None:
        end = min(self.n, self.at + len(path))
        self.thing[self.at : end] = len(self.things) - 1
        self.position[self.at : end] = path[: max(0, end - self.at)]
        self.at += len(path)

    def _beyond(self, side: str, radius: float) -> NDArray[np.float32]:
        along = self.random.uniform(0.2, 0.8)
        if side in ("left", "right"):
            x = -radius - 1 if side == "left" else WIDTH + radius + 1
            return np.float32((x, along * HEIGHT))
        y = -radius - 1 if side == "top" else HEIGHT + radius + 1
        return np.float32((along * WIDTH, y))

    def _lights(self) -> None:
        dark = int(self.random.integers(8, 26))
        low = self.random.uniform(0.1, 0.4)
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
        n = int(self.random.integers(2, 9))
        angle, far = self.random.uniform(0, 2 * np.pi), self.random.uniform(8, 26)
        self._tell("camera moves", self.at)
        way = np.float32(far * np.array([np.cos(angle), np.sin(angle)]))
        for turn in range(self.at, self.n):
            self.view[turn] += way * min(1.0, (turn - self.at + 1) / n)
        self.at += n


def _line(start: NDArray[np.float32], end: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """n points, the last one at `end`."""
    return start + (end - start) * (np.arange(1, n + 1) / n)[:, None].astype(np.float32)


def _inside(path: NDArray[np.float32]) -> NDArray[np.bool_]:
    x, y = path.T
    return (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
