# SPDX-License-Identifier: Apache-2.0
"""When a simulated event should be told, and of which track: what the streaming model learns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from sim_thing import ENTERS, LEAVES, MOVES, STOPS, Happened
from simulate import Pictured, Simulated
from track_rows import Row, TrackRows
from track_words import SIDES, Saying

from edgestream.vision.labels import SOMETHING
from edgestream.vision.perception.track import Track

SOON_MS = {ENTERS: 200.0, STOPS: 600.0, MOVES: 200.0, LEAVES: 200.0}
TOO_LATE_MS = {ENTERS: 1800.0, STOPS: 1800.0, MOVES: 1800.0, LEAVES: 2600.0}
LOST_EARLY_MS = 1500.0
FORGOTTEN = 0.08  # of the events are told later than they could be, and this is not learned
SLIPS = 0.003  # of the rows: something wrong is said, which is not learned; what follows it is
ENTERED_SIGHTS = {True: 2, False: 3}  # pictures, with a class and without


@dataclass
class Lesson:
    """One scene as rows of tracks, with what is said after each."""

    numbers: list[np.ndarray] = field(default_factory=list)
    sayings: list[Saying | None] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)


class Oracle:
    """Knows what truly happens; says it of the right track as soon as it can be known."""

    def __init__(self, simulated: Simulated, random: np.random.Generator) -> None:
        self.random = random
        self.waiting: list[Happened] = simulated.events
        self.later = {id(e): 200.0 * random.integers(1, 4) for e in self.waiting
                      if random.random() < FORGOTTEN}  # fmt: skip
        self.carriers: dict[int, Track] = {}  # by thing: the track that follows it

    def look(self, pictured: Pictured, tracks: Iterable[Track]) -> None:
        """Sees which track follows which thing now."""
        for track in tracks:
            thing = pictured.behind.get(track.number)
            if thing is None:
                continue
            carrier = self.carriers.get(thing)
            if carrier is None or self._better(track, carrier, thing, pictured):
                self.carriers[thing] = track

    def _better(self, track: Track, carrier: Track, thing: int, pictured: Pictured) -> bool:
        if pictured.behind.get(carrier.number) != thing:
            return True
        if track.seen_ms != carrier.seen_ms:
            return track.seen_ms > carrier.seen_ms and track.n_sights >= 2
        return track.n_sights > carrier.n_sights

    def says(self, row: Row, time_ms: float) -> tuple[Saying | None, bool]:
        """What to say after a row, and whether that is to be learned."""
        self.waiting = [e for e in self.waiting if time_ms - e.time_ms <= TOO_LATE_MS[e.kind]]
        for event in self.waiting:
            if self.carriers.get(event.thing) is row.track and self._known(event, row, time_ms):
                if self.later.get(id(event), 0) > time_ms - max(event.time_ms, event.known_ms):
                    return None, False
                self.waiting.remove(event)
                side = next((s for s in event.sides if s), "")
                if event.kind == LEAVES:
                    side = event.sides[0]
                return (event.kind, side), True
        if self.random.random() < SLIPS:
            kind = str(self.random.choice([ENTERS, STOPS, MOVES]))
            return (kind, "" if kind == STOPS else str(self.random.choice(SIDES))), False
        return None, True

    def _known(self, event: Happened, row: Row, time_ms: float) -> bool:
        track, since = row.track, time_ms - event.time_ms
        if event.kind == LEAVES and row.ended:  # it may be lost while a last part is still seen
            return since >= -LOST_EARLY_MS
        if since < SOON_MS[event.kind]:
            return False
        if event.kind == ENTERS:
            known = track.label != SOMETHING
            return not row.ended and track.n_sights >= ENTERED_SIGHTS[known]
        if event.kind == LEAVES:
            return track.kept_ms < time_ms and since >= 2 * SOON_MS[LEAVES]
        if event.kind == MOVES:
            return time_ms >= event.known_ms and not row.ended
        return not row.ended


def lesson(simulated: Simulated, seed: int) -> Lesson:
    """Follows a scene to its end."""
    view = simulated.scene.view
    rows, oracle = (
        TrackRows(view.width, view.height),
        Oracle(simulated, np.random.default_rng(seed)),
    )
    made = Lesson()
    for pictured in simulated:
        step = pictured.step
        chosen = rows.active(step)
        oracle.look(pictured, step.alive)
        for k, (one, ended) in enumerate(chosen):
            row = rows.row(one, ended, step, k == 0)
            saying, asked = oracle.says(row, step.time_ms)
            if saying:
                rows.say(row.track, saying, step.time_ms)
            made.numbers.append(row.numbers.astype(np.float16))
            made.sayings.append(saying)
            made.asked.append(asked)
    return made
