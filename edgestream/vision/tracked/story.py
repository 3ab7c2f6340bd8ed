# SPDX-License-Identifier: Apache-2.0
"""What happens to one track: it enters, stops, moves on, stays, leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgestream.vision.labels import SOMETHING
from edgestream.vision.perception.boxes import Box, touched
from edgestream.vision.perception.track import Sight, Track, travelled
from edgestream.vision.tracked.place import Place
from edgestream.vision.tracked.sides import side_in, side_out
from edgestream.vision.zones import Zones

ENTERS, LEAVES, STOPS, MOVES, STAYS = "enters", "leaves", "stops", "moves", "stays"
STILL_MS = 900.0  # without a way, until it has stopped
STILL_SHARE = 0.7  # of that time, between the first and the last picture of it
STILL_WAY = 0.07  # sizes, that is no way
MOVING_WAY = 0.25  # sizes from where it stood, until it moves
GOING_ON = 0.03  # sizes from one picture to the next, of what moves
STOOD_MS = 2000.0  # that it must have stood, for its moving to be told
WALKED = 0.5  # sizes, that it must have gone before it can stop
FIRST_MS = 700.0  # of a stream, in which what is there was there before
SURE_SIGHTS = {True: 2, False: 3}  # pictures, before it is told of; with a class, and without
CAME_WAY = 0.12  # sizes, that a thing with a class goes until it is one that came
UNNAMED_MS, NAMED_MS = 550.0, 850.0  # until it is told of without a class; with some detections
BLOB_WAY, BLOB_IN = 0.6, 0.08  # of a thing without a class: sizes, or shares of the picture inwards
STEPS, STEP_WAY = 4, 0.06  # pictures, and sizes in each, that such a thing goes one way
STEPS_MS = 1300.0  # in which they lie
LONGEST = 4.5  # times as long as wide; what is thinner is the edge of a shadow
LEAST_BLOB = 0.004  # share of the picture
PART_SIGHTS = 4  # detections, of what began beside another one
NEW_FOREGROUND = 0.2  # of the box of a thing with a class, else it was there
STAYS_MS = (60_000.0, 600_000.0, 3_600_000.0)  # of standing still, when it is told
STAYS_OFTEN = 3  # times as early, where all is told


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a track did, at `time_ms`, known at `known_ms`."""

    kind: str
    track: Track
    time_ms: float
    known_ms: float
    side: str | None = None  # where it came from or went to
    direction: str | None = None
    box: Box | None = None
    stayed_ms: float = 0.0
    zone: str | None = None  # that it is about


class Story:
    """One track's; push it once a picture."""

    def __init__(
        self, track: Track, began_ms: float, width: int, height: int,
        zones: Zones | None = None, *, all_of_it: bool = False,
    ) -> None:  # fmt: skip
        """`began_ms`: when the stream began, or began again; `zones`: whose borders count too.

        With `all_of_it` short ways and stops count as well, and that it was there before.
        """
        self.track = track
        self._all = all_of_it
        self._place = Place(zones, width, height)
        self._width, self._height = width, height
        self._was_there = track.first.time_ms - began_ms <= FIRST_MS
        self.told = False  # that it is there
        self.there = False  # it needs no telling
        self._still: Sight | None = None  # where it stands
        self._way_from = track.first
        self._n_stays = 0

    def push(self, time_ms: float) -> Iterator[Act]:
        """What it did by this picture."""
        track = self.track
        if not (self.told or self.there):
            yield from self._come(time_ms)
            return
        if track.seen_ms == time_ms:
            yield from self._cross(time_ms)
        if track.hung:  # an arm does neither stop nor stay
            return
        if track.seen_ms == time_ms:
            yield from self._go(time_ms)
        elif track.kept_ms == time_ms:
            yield from self._keep(time_ms)
        if self.told and self._still is not None and self._n_stays < len(STAYS_MS):
            stayed_ms = time_ms - self._still.time_ms
            if stayed_ms >= STAYS_MS[self._n_stays] / (STAYS_OFTEN if self._all else 1):
                self._n_stays += 1
                yield self._act(STAYS, time_ms, time_ms, stayed_ms=stayed_ms)

    def replace(self) -> None:
        """The view moved or changed: where the track is now is where it was."""
        now = self.track.sights[-1]
        self._way_from = now
        if self._still is not None:
            self._still = self._still._replace(box=now.box)

    def end(self, time_ms: float) -> Iterator[Act]:
        """It was not seen again."""
        if not (self.told or self.there or self._was_there) and self._came_in(0.0):
            self.told = self.track.told = True  # in and out while it was waited for what it is
            yield self._enter(time_ms)
        if not (self.told or (self.there and self._went(self._way_from, WALKED))):
            return
        side = side_out(self.track, self._width, self._height)
        if side is None and (self.track.label == SOMETHING or not self.track.gone):
            return  # it may be there still
        yield replace(
            self._act(LEAVES, self.track.seen_ms, time_ms, side=side), zone=self._place.zone
        )

    def _come(self, time_ms: float) -> Iterator[Act]:
        track = self.track
        known = track.label != SOMETHING
        if track.seen_ms < time_ms or track.n_sights < SURE_SIGHTS[known]:
            return
        if self._was_there:
            self.there = known
            if known and self._all:
                yield self._act(STAYS, track.first.time_ms, time_ms)
            return
        if self._was_hidden():
            self.there = True
            return
        wait_ms = NAMED_MS if track.n_detected else UNNAMED_MS
        if not ((known and self._came()) or self._came_in(wait_ms)):
            if known and track.n_detected > 5 and track.foreground < NEW_FOREGROUND:
                self.there = True  # it was there, and only now found
                self._still = track.sights[-1]
            return
        self.told = track.told = True
        self._way_from = track.first
        self._place.begin(track.sights[-1].box, time_ms)  # it may come into a zone at once
        yield self._enter(time_ms)

    def _enter(self, time_ms: float) -> Act:
        side = side_in(self.track, self._width, self._height)
        act = self._act(ENTERS, self.track.first.time_ms, time_ms, side=side)
        return replace(act, zone=self._place.zone)

    def _was_hidden(self) -> bool:
        """Whether it stood behind another one of its class, as people of a group do."""
        track = self.track
        alike = track.label != SOMETHING and track.label in track.part_of
        at_border = touched(track.first.box, self._width, self._height)
        return alike and track.n_detected >= PART_SIGHTS and not at_border

    def _came(self) -> bool:
        track = self.track
        if track.n_detected < SURE_SIGHTS[True] or track.foreground < NEW_FOREGROUND:
            return False
        if track.part and track.n_detected < PART_SIGHTS:
            return False
        return self._went(track.first, CAME_WAY)

    def _came_in(self, wait_ms: float) -> bool:
        """Whether a thing that nobody can name has gone a way that noise and leaves do not go."""
        track = self.track
        if track.seen_ms - track.first.time_ms < wait_ms or track.n_sights < SURE_SIGHTS[False]:
            return False
        short, long = sorted((track.box.width, track.box.height))
        if track.part or long > LONGEST * short:
            return False
        if track.box.area < LEAST_BLOB * self._width * self._height:
            return False
        return self._reached_in() or (self._went(track.first, BLOB_WAY) and self._keeps_on())

    def _reached_in(self) -> bool:
        """Whether it came out of a border, as far as it was ever seen to reach."""
        first = self.track.first.box
        boxes = [s.box for s in self.track.sights]
        grown = {
            "left": (max(b.right for b in boxes) - first.right) / self._width,
            "top": (max(b.bottom for b in boxes) - first.bottom) / self._height,
            "right": (first.left - min(b.left for b in boxes)) / self._width,
            "bottom": (first.top - min(b.top for b in boxes)) / self._height,
        }
        return any(grown[s] > BLOB_IN for s in touched(first, self._width, self._height))

    def _keeps_on(self) -> bool:
        """Whether it goes one way from picture to picture, and not to and fro."""
        recent = list(self.track.sights)[-STEPS - 1 :]
        if recent[-1].time_ms - recent[0].time_ms > STEPS_MS:
            return False
        steps = [self._vector(a.box, b.box) for a, b in pairwise(recent)]
        total = np.sum(steps, 0)
        axis = int(np.abs(total).argmax())
        least = STEP_WAY * self.track.box.size
        return sum(bool(s[axis] * np.sign(total[axis]) > least) for s in steps) >= STEPS - 1

    def _cross(self, time_ms: float) -> Iterator[Act]:
        """It stands in another zone for some time now."""
        change = self._place.push(self.track.sights[-1].box, time_ms)
        if change is None:
            return
        if change.left is not None:
            yield replace(self._act(LEAVES, change.since_ms, time_ms), zone=change.left)
        if change.entered is not None:
            yield replace(self._act(ENTERS, change.since_ms, time_ms), zone=change.entered)

    def _go(self, time_ms: float) -> Iterator[Act]:
        if self._still is None:
            yield from self._stop(time_ms)
        elif self.track.foreground > NEW_FOREGROUND and self._moves():
            began_ms, stood_ms = self._left_place(), time_ms - self._still.time_ms
            way = self._vector(self._still.box, self.track.sights[-1].box)
            self._way_from, self._still = self._still, None
            if self._all or stood_ms >= STOOD_MS:
                yield self._act(MOVES, began_ms, time_ms, direction=_towards(way))

    def _stop(self, time_ms: float) -> Iterator[Act]:
        window = self.track.since(time_ms - STILL_MS)
        if len(window) < 3 or time_ms - window[0].time_ms < STILL_SHARE * STILL_MS:
            return
        now = window[-1].box
        if max(max(self._way(s.box, now), self._grown(s.box, now)) for s in window) >= STILL_WAY:
            return
        yield from self._stand(window[0], time_ms)

    def _keep(self, time_ms: float) -> Iterator[Act]:
        """Its place looks as it did: after a while it has stopped there."""
        if self._still is None and time_ms - self.track.seen_ms >= STILL_MS:
            yield from self._stand(self.track.sights[-1], time_ms)

    def _stand(self, since: Sight, time_ms: float) -> Iterator[Act]:
        self._still, self._n_stays = since, 0
        if self._went(self._way_from, WALKED / 2 if self._all else WALKED, since):
            yield self._act(STOPS, since.time_ms, time_ms)

    def _moves(self) -> bool:
        """Whether it is away from where it stood, and was on its way in the picture before."""
        assert self._still is not None
        before, now = (
            list(self.track.sights)[-2:] if len(self.track.sights) > 1 else ([self._still] * 2)
        )
        ways = [self._way(self._still.box, s.box) for s in (before, now)]
        if ways[-1] <= MOVING_WAY or min(ways) <= 0.6 * MOVING_WAY:
            return False
        way = self._vector(self._still.box, now.box)
        axis = int(np.abs(way).argmax())
        step = self._vector(before.box, now.box)[axis] * np.sign(way[axis])
        return bool(step > GOING_ON * self.track.box.size)  # else it only jumped

    def _left_place(self) -> float:
        """When it was first seen to be away from where it stood, and stayed away."""
        assert self._still is not None
        at_ms = self.track.seen_ms
        for sight in reversed(self.track.sights):
            if self._way(self._still.box, sight.box) < MOVING_WAY / 2:
                break
            at_ms = sight.time_ms
        return at_ms

    def _vector(self, one: Box, other: Box) -> NDArray[np.float64]:
        return travelled(one, other, self._width, self._height)

    def _way(self, one: Box, other: Box) -> float:
        """The longer of the ways across and down, in sizes."""
        return float(np.abs(self._vector(one, other)).max()) / max(1.0, self.track.box.size)

    def _grown(self, one: Box, other: Box) -> float:
        """How many sizes it grew or shrank both ways, as who comes near or goes far does."""
        wider, higher = other.width - one.width, other.height - one.height
        if wider * higher <= 0:
            return 0.0
        return min(abs(wider), abs(higher)) / max(1.0, self.track.box.size)

    def _went(self, since: Sight, sizes: float, until: Sight | None = None) -> bool:
        until = self.track.sights[-1] if until is None else until
        return self._way(since.box, until.box) >= sizes

    def _act(
        self, kind: str, time_ms: float, known_ms: float, *, side: str | None = None,
        direction: str | None = None, stayed_ms: float = 0.0,
    ) -> Act:  # fmt: skip
        box = self.track.sights[-1].box
        return Act(kind, self.track, time_ms, known_ms, side, direction, box, stayed_ms)


def _towards(way: NDArray[np.float64]) -> str:
    if abs(way[0]) >= abs(way[1]):
        return "right" if way[0] > 0 else "left"
    return "bottom" if way[1] > 0 else "top"
