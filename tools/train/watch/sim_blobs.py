# SPDX-License-Identifier: Apache-2.0
"""What a background model would leave of a simulated scene: whole, torn, merged, false blobs."""

from __future__ import annotations

import numpy as np
from sim_detect import wave
from sim_thing import Thing
from sim_view import PICTURE_MS, View

from edgestream.vision.perception.background import GAP_PX, MIN_SHARE, Blob
from edgestream.vision.perception.boxes import Box, overlap, union
from edgestream.vision.perception.perception import SMALL_PX

LATELY = 4  # pictures, after which a thing that stands still leaves no blob
FILLED = 0.55  # of the box of a blob
STEP = 0.012  # sizes from one picture to the next, that pixels change by
FIDGETS = 0.25  # of the pictures of somebody who stands
GHOST_PICTURES = (3, 7)

Sourced = tuple[Blob, int | None]


class Disturbances:
    """What makes blobs where no thing is: leaves and curtains, jumps of exposure."""

    def __init__(
        self, view: View, n: int, swaying: int, bursts: float, random: np.random.Generator
    ) -> None:
        self.view = view
        self.swaying = []
        for _ in range(swaying):
            size = random.uniform(0.05, 0.3, 2) * (view.width, view.height)
            at = random.uniform((0, 0), (view.width, view.height) - size)
            place = Box(at[0], at[1], at[0] + size[0], at[1] + size[1])
            self.swaying.append((place, wave(n, random, 0.9) - random.uniform(0.2, 1.5)))
        self.burst = np.zeros(n)
        for at in np.flatnonzero(random.random(n) < bursts * PICTURE_MS / 60_000):
            self.burst[at : at + int(random.integers(1, 5))] = random.uniform(1, 6)

    def push(self, i: int, random: np.random.Generator) -> list[Box]:
        """The false blobs of a picture."""
        made = []
        for place, strength in self.swaying:
            if strength[i] > 0:
                for _ in range(int(random.integers(1, 3))):
                    made.append(_within(place, random))
        picture = Box(0, 0, self.view.width, self.view.height)
        made += [_within(picture, random, 0.4) for _ in range(random.poisson(self.burst[i]))]
        return made


def _within(place: Box, random: np.random.Generator, most: float = 1.0) -> Box:
    size = np.array([place.width, place.height]) * random.uniform(0.15, most, 2)
    at = random.uniform((place.left, place.top), (place.right, place.bottom) - size)
    return Box(at[0], at[1], at[0] + size[0], at[1] + size[1])


class Blobs:
    """The blobs of one scene, picture by picture."""

    def __init__(
        self, things: list[Thing], view: View, sun: float, disturbances: Disturbances,
        random: np.random.Generator,
    ) -> None:  # fmt: skip
        self.things, self.view, self.sun, self.disturbances = things, view, sun, disturbances
        self.shade = random.uniform(0.3, 1.0)
        n = len(things[0].boxes) if things else 0
        self.torn = {t.number: t.contrast + 0.2 * wave(n, random, 0.7) for t in things}
        self.fidget = {t.number: FIDGETS * random.uniform(0, 2) for t in things}
        self.ghosts: list[tuple[Box, int]] = []  # and until which picture
        self.stood: dict[int, Box] = {}
        self.gap = 2.2 * GAP_PX * max(view.width, view.height) / SMALL_PX

    def push(
        self, seen: list[tuple[Thing, Box]], i: int, random: np.random.Generator
    ) -> list[Sourced]:
        """Of a picture in which those things are seen; each with the thing that made most of it."""
        parts: list[tuple[Box, int | None]] = []
        for thing, box in seen:
            self._leave_ghost(thing, i, random)
            parts += [(part, thing.number) for part in self._of_thing(thing, box, i, random)]
        for thing in self.things:
            if thing.boxes[i] is None and i and thing.boxes[i - 1] is not None:
                self._vanish(thing, i, random)
        parts += [(box, None) for box, until in self.ghosts if i <= until]
        parts += [(box, None) for box in self.disturbances.push(i, random)]
        size = self.view.width, self.view.height
        area = self.view.width * self.view.height
        made = [
            (Blob(box.within(*size), fill), source)
            for box, source in merged(parts, self.gap)
            if (fill := FILLED * box.within(*size).area / area) >= MIN_SHARE
        ]
        return sorted(made, key=lambda pair: -pair[0].fill)

    def _of_thing(self, thing: Thing, box: Box, i: int, random: np.random.Generator) -> list[Box]:
        whole = self.torn[thing.number][i]
        if not self._changed(thing, i):
            if thing.label == "vehicle" or random.random() > self.fidget[thing.number]:
                return []
            return [_within(box, random, 0.6)]
        jitter = random.normal(0, 0.06, 4) * (box.width, box.height, box.width, box.height)
        near = Box(*(np.array(box) + jitter))
        if whole < 0.25:
            return [] if random.random() < 0.6 else [_within(near, random, 0.6)]
        if whole < 0.5:
            cut = near.top + near.height * random.uniform(0.3, 0.7)
            both = [near._replace(bottom=cut - 3), near._replace(top=cut + 3)]
            return both if random.random() < 0.6 else [both[int(random.integers(2))]]
        if self.sun and not thing.hand and random.random() < self.shade:
            far = abs(self.sun) * near.width * random.uniform(0.7, 1.0)
            near = near._replace(left=near.left - far) if self.sun < 0 else near._replace(
                right=near.right + far)  # fmt: skip
        return [near]

    def _changed(self, thing: Thing, i: int) -> bool:
        """Whether it moved, came or went within the last pictures."""
        least = STEP * (1.0 if thing.label == "vehicle" else 1.6)
        return any(thing.moved(k) > least for k in range(max(1, i - LATELY + 1), i + 1))

    def _leave_ghost(self, thing: Thing, i: int, random: np.random.Generator) -> None:
        """What was background with a thing in it differs when the thing goes."""
        box = thing.boxes[i]
        if box is None:
            return
        if i == 0 or (thing.label == "something" and thing.moved(i, 8) < 0.02):
            self.stood[thing.number] = box
        stood = self.stood.get(thing.number)
        if stood is not None and np.linalg.norm(stood.centre - box.centre) > 0.4 * box.size:
            self.ghosts.append((stood, i + int(random.integers(*GHOST_PICTURES))))
            del self.stood[thing.number]

    def _vanish(self, thing: Thing, i: int, random: np.random.Generator) -> None:
        if (stood := self.stood.pop(thing.number, None)) is not None:
            self.ghosts.append((stood, i + int(random.integers(*GHOST_PICTURES))))


def merged(parts: list[tuple[Box, int | None]], gap: float) -> list[tuple[Box, int | None]]:
    """Boxes that are closer than `gap` as one, with the source of the largest."""
    left = sorted(parts, key=lambda part: -part[0].area)
    made: list[tuple[Box, int | None]] = []
    while left:
        box, source = left.pop(0)
        grown = True
        while grown:
            grown = False
            for other in list(left):
                near = Box(box.left - gap, box.top - gap, box.right + gap, box.bottom + gap)
                if overlap(near, other[0]) > 0:
                    box, source = union(box, other[0]), other[1] if source is None else source
                    left.remove(other)
                    grown = True
        made.append((box, source))
    return made
