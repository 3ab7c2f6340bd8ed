# SPDX-License-Identifier: Apache-2.0
"""Simulated scenes as a tracker sees them: its tracks, picture by picture, and who they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from sim_blobs import Blobs, Disturbances
from sim_detect import Habit, Mistaken, detections
from sim_script import Scene
from sim_thing import Happened, Thing
from sim_view import PICTURE_MS

from edgestream.vision.perception.border import note_border
from edgestream.vision.perception.boxes import Box, inside, iou
from edgestream.vision.perception.perception import (
    FIRST_LOOKS,
    GONE_FOREGROUND,
    KEPT_MS,
    LOOK_EVERY_MS,
    STANDING_MS,
    WAS_FOREGROUND,
)
from edgestream.vision.perception.track import Track
from edgestream.vision.perception.tracker import Step, Tracker

COVERED = 0.75  # of the box of a thing that stands out well
SAME_PLACE = 0.8  # of two boxes in common, where a thing looks as it did
FAINT = 0.35  # contrast, below which a place may look the same without the thing


@dataclass
class Pictured:
    """One picture: the tracks after it, and the thing behind each of them (None: nothing)."""

    step: Step
    width: int
    height: int
    behind: dict[int, int | None] = field(default_factory=dict)  # by number of the track


class Simulated:
    """One scene, seen through noise. Iterate it once for pictures."""

    def __init__(self, scene: Scene, seed: int, tracker: Tracker | None = None) -> None:
        self.scene, self.seed = scene, seed
        random = np.random.default_rng([seed, 1])
        self.tracker = tracker or Tracker()
        self._habits = [Habit(t, scene.view, random) for t in scene.things]
        self._mistaken = Mistaken(scene.view, scene.n, random)
        disturbed = Disturbances(scene.view, scene.n, scene.swaying, scene.bursts, random)
        self._blobs = Blobs(scene.things, scene.view, scene.sun, disturbed, random)
        self._behind: dict[int, int | None] = {}
        self._looked_ms, self._looks = -np.inf, 0

    @property
    def events(self) -> list[Happened]:
        """What truly happens, in order of time."""
        return sorted((e for t in self.scene.things for e in t.events), key=lambda e: e.time_ms)

    def __iter__(self) -> Iterator[Pictured]:
        for i in range(self.scene.n):
            # Noise is drawn anew for each picture, so that it is the same whatever tracker looks.
            yield self._picture(i, np.random.default_rng([self.seed, 2, i]))

    def _picture(self, i: int, random: np.random.Generator) -> Pictured:
        scene, time_ms = self.scene, i * PICTURE_MS
        seen = [(t, b) for t in scene.things if (b := t.visible(i, scene.view)) is not None]
        blobs = self._blobs.push(seen, i, random) if i > 1 else []
        found = detections(seen, self._habits, self._mistaken, i, random)
        found = [(d._replace(box=d.box.within(scene.view.width, scene.view.height)), source)
                 for d, source in found]  # fmt: skip
        if not self._looks_at(bool(blobs), time_ms):
            found = []
        sources = {tuple(d.box): source for d, source in found}
        sources |= {tuple(b.box): source for b, source in blobs}
        step = self.tracker.push(
            [d for d, _ in found], [b for b, _ in blobs], time_ms,
            lambda track: self._unchanged(track, i, random),
        )  # fmt: skip
        for track in step.alive:
            if track.seen_ms == time_ms:
                self._behind[track.number] = sources.get(tuple(track.sights[-1].box))
            self._note(track, i, random)
        return Pictured(step, scene.view.width, scene.view.height, dict(self._behind))

    def _looks_at(self, changed: bool, time_ms: float) -> bool:
        """As `Perception` decides it."""
        moved = any(t.seen_ms > self._looked_ms - 1000 for t in self.tracker.tracks)
        due = time_ms - self._looked_ms >= LOOK_EVERY_MS and moved
        if not changed and not due and self._looks >= FIRST_LOOKS:
            return False
        self._looked_ms, self._looks = time_ms, self._looks + 1
        return True

    def _thing(self, track: Track) -> Thing | None:
        number = self._behind.get(track.number)
        return None if number is None else self.scene.things[number]

    def _unchanged(self, track: Track, i: int, random: np.random.Generator) -> bool:
        time_ms = i * PICTURE_MS
        stands = track.told and not track.hung
        kept_ms = STANDING_MS if stands else KEPT_MS
        if track.sights[-1].detected:
            kept_ms = np.inf
        if track.going_out or time_ms - track.seen_ms > kept_ms:
            return False
        thing, chance = self._thing(track), random.random()
        if thing is None:
            return chance < (0.9 if track.n_detected else 0.3)
        then = thing.visible(round(track.seen_ms / PICTURE_MS), self.scene.view)
        now = thing.visible(i, self.scene.view)
        same = then is not None and now is not None and iou(then, now) > SAME_PLACE
        if same and not self._before(thing, i):
            return chance < 0.97
        return thing.contrast < FAINT and chance < 0.7

    def _before(self, thing: Thing, i: int) -> bool:
        """Whether something else stands before it."""
        own = thing.visible(i, self.scene.view)
        assert own is not None
        others = ((t, t.visible(i, self.scene.view)) for t in self.scene.things if t is not thing)
        return any(
            b is not None and b.bottom > own.bottom and inside(own, b) > 0.3 and t.moved(i) > 0.02
            for t, b in others
        )

    def _note(self, track: Track, i: int, random: np.random.Generator) -> None:
        """What perception notes of a track."""
        boxes = {track.sights[-1].box, track.predicted(i * PICTURE_MS)}
        covered = max(self._covered(box, i) for box in boxes) + float(random.normal(0, 0.04))
        if track.seen_ms == i * PICTURE_MS:
            track.cover(min(1.0, max(0.0, covered)))
            track.gone = False
            note_border(track, self.scene.view.width, self.scene.view.height)
            thing = self._thing(track)
            if thing is not None and random.random() < 0.7:
                track.paint(thing.colour)
        elif track.kept_ms < i * PICTURE_MS and track.most_foreground > WAS_FOREGROUND:
            track.gone = covered < GONE_FOREGROUND

    def _covered(self, box: Box, i: int) -> float:
        """The share of a box that is not background."""
        shares = [0.0]
        for thing in self.scene.things:
            now = thing.visible(i, self.scene.view)
            if now is not None and not self._is_background(thing, i):
                stands_out = 0.3 + 0.7 * min(1.0, thing.contrast)
                shares.append(COVERED * stands_out * inside(box, now))
        return min(0.95, sum(shares))

    def _is_background(self, thing: Thing, i: int) -> bool:
        """Whether it stands where it stood in the first picture."""
        first, now = thing.boxes[0], thing.boxes[i]
        return first is not None and now is not None and iou(first, now) > 0.5
