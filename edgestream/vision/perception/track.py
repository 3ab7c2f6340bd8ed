# SPDX-License-Identifier: Apache-2.0
"""One thing that is followed: where it was, what it is called, and how it moves."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.vision.labels import PERSON, SOMETHING, VEHICLE
from edgestream.vision.perception.boxes import Box

HISTORY_MS = 3000.0  # of boxes
SPEED_MS = 800.0  # over which speed is taken
SHAPE_MIX = 0.6  # of the newest box
OFTEN_SEEN = (PERSON, VEHICLE)
MIN_VOTES = {True: 0.8, False: 1.6}  # of a class, the scores of its detections; often seen, or not
FADES = 0.8  # with each picture
ARM_VOTES = 0.2  # of what hangs in from above
OLD_VOTES = 0.98  # what is left of votes with each new one


class Sight(NamedTuple):
    """Where it was in one picture."""

    time_ms: float
    box: Box
    detected: bool  # else a blob


class Track:
    """Follows one thing; `number` is its own for good.

    `seen_ms`: the newest picture in which it was found. `kept_ms`: the newest one in which it was,
    or in which its place looked as when it was last found.
    """

    def __init__(self, number: int, sight: Sight) -> None:
        self.number = number
        self.box = sight.box
        self.first = sight
        self.sights: deque[Sight] = deque([sight])
        self.seen_ms = self.kept_ms = sight.time_ms
        self.n_sights = 1
        self.n_detected = int(sight.detected)
        self.score = 0.0
        self.foreground = 0.0  # the most of its box that was not background lately
        self.most_foreground = 0.0  # and ever
        self.told = False  # somebody was told of it
        self.part_of: set[str] = set()  # classes of those that it began in or beside
        self.gone = False  # where it was is background again
        self.at_border = False
        self.hung = False  # into the picture from above, as an arm does
        self.going_out = False  # at the border, on its way out of the picture
        self._votes: dict[str, float] = defaultdict(float)
        self._colours: dict[str, float] = defaultdict(float)

    @property
    def label(self) -> str:
        """Its class, as most detections say."""
        label = max(self._votes, key=lambda each: self._votes[each], default=SOMETHING)
        least = ARM_VOTES if self.hung else MIN_VOTES[label in OFTEN_SEEN]
        return label if self._votes[label] >= least else SOMETHING

    @property
    def part(self) -> bool:
        """Whether it began in or beside another one."""
        return bool(self.part_of)

    @property
    def colour(self) -> str:
        """Its main colour, as most pictures show it; empty where none was seen."""
        return max(self._colours, key=lambda each: self._colours[each], default="")

    def vote(self, label: str, score: float) -> None:
        """A detection says what it is."""
        for each in self._votes:
            self._votes[each] *= OLD_VOTES
        self._votes[label] += score
        self.score = max(score, OLD_VOTES * self.score)

    def cover(self, share: float) -> None:
        """A picture shows that so much of its box is not background."""
        self.foreground = max(FADES * self.foreground, share)
        self.most_foreground = max(self.most_foreground, share)

    def paint(self, colour: str) -> None:
        """A picture shows its colour."""
        self._colours[colour] += 1.0

    def push(self, sight: Sight) -> None:
        """It was found."""
        detected_before = self.sights[-1].detected
        share = SHAPE_MIX if sight.detected == detected_before else 1.0
        self.box = self.box.mixed(sight.box, share)
        self.sights.append(sight)
        while sight.time_ms - self.sights[0].time_ms > HISTORY_MS:
            self.sights.popleft()
        self.seen_ms = self.kept_ms = sight.time_ms
        self.n_sights += 1
        self.n_detected += sight.detected

    def keep(self, time_ms: float) -> None:
        """It was not looked for, or not found, but its place looks as before."""
        self.kept_ms = time_ms

    def shift(self, by: NDArray[np.float64]) -> None:
        """The whole view moved."""
        self.box = self.box.moved(by)
        moved = [s._replace(box=s.box.moved(by)) for s in self.sights]
        self.sights = deque(moved)
        self.first = self.first._replace(box=self.first.box.moved(by))

    def velocity(self) -> NDArray[np.float64]:
        """Pixels a second, [x, y], of its middle over the last pictures."""
        recent = [s for s in self.sights if self.seen_ms - s.time_ms <= SPEED_MS]
        if len(recent) < 2:
            return np.zeros(2)
        first, last = recent[0], recent[-1]
        seconds = (last.time_ms - first.time_ms) / 1000
        return (last.box.centre - first.box.centre) / seconds

    def predicted(self, time_ms: float) -> Box:
        """Where it should be, no more than a second ahead."""
        seconds = min(1.0, (time_ms - self.seen_ms) / 1000)
        return self.sights[-1].box.moved(self.velocity() * seconds)

    def since(self, time_ms: float) -> list[Sight]:
        """Where it was from that time on."""
        return [s for s in self.sights if s.time_ms >= time_ms]


def travelled(one: Box, other: Box, width: float, height: float) -> NDArray[np.float64]:
    """How far a thing went from one box to the other, [x, y], whatever its shape did.

    Opposite edges must go the same way, by the shorter of their ways; an edge at the border of the
    picture, where a thing is cut off, says nothing.
    """
    return np.array([
        _along(one.left, one.right, other.left, other.right, width),
        _along(one.top, one.bottom, other.top, other.bottom, height),
    ])  # fmt: skip


def _along(low: float, high: float, low_now: float, high_now: float, size: float) -> float:
    margin = 0.012 * size
    ways = []
    if min(low, low_now) > margin:
        ways.append(low_now - low)
    if max(high, high_now) < size - margin:
        ways.append(high_now - high)
    if not ways or min(ways) * max(ways) < 0:
        return 0.0
    return min(ways, key=abs)
