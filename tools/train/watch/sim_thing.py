# SPDX-License-Identifier: Apache-2.0
"""A simulated thing in a scene, and what it truly does, in the words of `Act`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sim_route import Route
from sim_view import PICTURE_MS, View

from edgestream.vision.perception.boxes import Box, overlap
from edgestream.vision.perception.colour import NAMES

ENTERS, LEAVES, STOPS, MOVES = "enters", "leaves", "stops", "moves"
SEEN_SHARE = 0.12  # of it, from which a viewer sees that it is there
SHORT_PAUSE = 6  # pictures: less is no stop
WALKED = 0.35  # sizes before a stop, else it only stands where it came
WAY = 0.3  # sizes from where it stood, that tell where it goes
SLANTED = 0.6  # of the longer part of a way: the shorter one may be named as well


@dataclass(frozen=True)
class Happened:
    """What a thing did. `sides`: the right names of side or direction, the best one first."""

    time_ms: float
    known_ms: float  # when a good viewer could know it
    kind: str
    sides: tuple[str, ...]
    thing: int


@dataclass(eq=False)
class Thing:
    """A thing with a whole box (or none) in each picture of a scene."""

    number: int
    label: str
    boxes: list[Box | None]
    opened: NDArray[np.float64]  # how much of it is seen, doors alone
    colour: str
    contrast: float  # how well it stands out from what is behind it
    events: list[Happened] = field(default_factory=list)
    hand: bool = False
    rides: int | None = None  # the thing that it is one with, for a viewer
    was_there: bool = False

    def visible(self, i: int, view: View) -> Box | None:
        """What of it is in the picture; None where that is too little to see."""
        box = self.boxes[i] if 0 <= i < len(self.boxes) else None
        if box is None or self.opened[i] <= 0:
            return None
        if self.opened[i] < 1:
            box = box._replace(right=box.left + max(2.0, box.width * self.opened[i]))
        cut = box.within(view.width, view.height)
        if cut.area < SEEN_SHARE * min(box.area, 0.3 * view.width * view.height):
            return None
        return cut

    def moved(self, i: int, before: int = 1) -> float:
        """How many of its sizes it went since so many pictures before."""
        now, then = self.boxes[i], self.boxes[i - before] if i >= before else None
        if now is None or then is None:
            return 1.0
        return float(np.linalg.norm(now.centre - then.centre)) / max(1.0, now.size)


def thing_of(
    route: Route, number: int, n: int, random: np.random.Generator, *, rides: int | None = None
) -> Thing:
    """The thing that went that way, in a scene of `n` pictures."""
    boxes: list[Box | None] = [None] * n
    opened = np.zeros(n)
    for i, (box, share) in enumerate(zip(route.boxes, route.opened, strict=True), route.first):
        if 0 <= i < n:
            boxes[i], opened[i] = box, share
    if not route.left:
        for i in range(max(0, route.now), n):
            boxes[i], opened[i] = route.boxes[-1], 1.0
    contrast = float(np.clip(random.beta(4, 2), 0.15, 1))
    thing = Thing(number, route.label, boxes, opened, str(random.choice(NAMES)), contrast)
    thing.was_there = boxes[0] is not None
    thing.rides = rides
    if rides is None:
        thing.events = happened(thing, route)
    return thing


def happened(thing: Thing, route: Route) -> list[Happened]:
    """What it did, in order of time."""
    view, n = route.view, len(thing.boxes)
    seen = [i for i in range(n) if thing.visible(i, view) is not None]
    if len(seen) < 3:
        return []
    found = []
    if seen[0] > 0:
        found.append(_event(thing, ENTERS, seen[0], seen[0] + 2, _came(thing, view, seen)))
    for begin, end in route.pauses:
        came = seen[0] < begin
        if min(end, seen[-1]) - begin < SHORT_PAUSE or not (came or thing.was_there):
            continue
        if came and _walked(thing, begin, route):
            found.append(_event(thing, STOPS, begin, begin + 3, ("",)))
        known = _off(thing, end, seen[-1])
        if known is not None:
            found.append(_event(thing, MOVES, end, known, _towards(thing, end, known)))
    if seen[-1] < n - 1:
        found.append(_event(thing, LEAVES, seen[-1], seen[-1] + 2, _went(thing, view, seen)))
    return sorted(found, key=lambda e: e.time_ms)


def _event(thing: Thing, kind: str, at: int, known: int, sides: tuple[str, ...]) -> Happened:
    return Happened(at * PICTURE_MS, known * PICTURE_MS, kind, sides, thing.number)


def _walked(thing: Thing, begin: int, route: Route) -> bool:
    before = max([end for _, end in route.pauses if end <= begin], default=route.first)
    box, since = thing.boxes[begin], thing.boxes[max(0, before)]
    return box is not None and since is not None and _way(since, box) >= WALKED


def _way(one: Box, other: Box) -> float:
    return float(np.abs(other.centre - one.centre).max()) / max(1.0, other.size)


def _off(thing: Thing, end: int, last: int) -> int | None:
    """The picture in which it is far enough from where it stood."""
    if end > last:
        return None
    stood = thing.boxes[end - 1]
    for i in range(end, min(last + 1, end + 15)):
        box = thing.boxes[i]
        if stood is not None and box is not None and _way(stood, box) >= WAY:
            return i
    return None


def _towards(thing: Thing, begin: int, end: int) -> tuple[str, ...]:
    one, other = thing.boxes[max(0, begin - 1)], thing.boxes[end]
    assert one is not None
    assert other is not None
    x, y = other.centre - one.centre
    across = "right" if x > 0 else "left"
    down = "bottom" if y > 0 else "top"
    names = (across, down) if abs(x) >= abs(y) else (down, across)
    slanted = min(abs(x), abs(y)) > SLANTED * max(abs(x), abs(y))
    return names if slanted else names[:1]


OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def _came(thing: Thing, view: View, seen: list[int]) -> tuple[str, ...]:
    """The border that it crossed; in the middle what lies behind it, or no side at all."""
    crossed = _crossed(thing.boxes[seen[0] - 1] or thing.boxes[seen[0]], view)
    if crossed and not thing.opened[seen[0]] < 1:
        return crossed
    later = min(seen[0] + 6, seen[-1])
    return (*(OPPOSITE[side] for side in _towards(thing, seen[0] + 1, later)), "")


def _went(thing: Thing, view: View, seen: list[int]) -> tuple[str, ...]:
    crossed = _crossed(thing.boxes[seen[-1] + 1] or thing.boxes[seen[-1]], view)
    return crossed if crossed and not thing.opened[seen[-1]] < 1 else ("",)


def _crossed(box: Box | None, view: View) -> tuple[str, ...]:
    """The sides over which a box hangs out of the picture by much, the most first."""
    if box is None:
        return ()
    out = {
        "left": -box.left / box.width, "top": -box.top / box.height,
        "right": (box.right - view.width) / box.width,
        "bottom": (box.bottom - view.height) / box.height,
    }  # fmt: skip
    sides = sorted((s for s in out if out[s] > 0.15), key=lambda s: -out[s])
    return tuple(s for s in sides if out[s] > 0.6 * out[sides[0]])


def hidden(box: Box, others: list[Box]) -> float:
    """The share of a box that things before it cover, taken as if they did not overlap."""
    return min(1.0, sum(overlap(box, other) for other in others) / max(1.0, box.area))
