# SPDX-License-Identifier: Apache-2.0
"""Detections and blobs of each picture to tracks: who is who from one picture to the next.

After ByteTrack (Zhang et al. 2022, arXiv 2110.06864): sure detections are matched first, unsure
ones then only to tracks that are there. Behind them come the blobs of the background model, which
follow what the detector does not know or misses for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from edgestream.vision.perception.background import Blob
from edgestream.vision.perception.boxes import Box, apart, inside, iou, overlap
from edgestream.vision.perception.detector import SOMETHING, Detection
from edgestream.vision.perception.track import Sight, Track

SURE = 0.45  # score of a detection that may begin a track
MAX_TRACKS = 64
NEAR = 1.2  # sizes between two boxes of one thing, from one picture to the next
MIN_IOU = 0.15
BESIDE = 0.2  # sizes around a track, where its parts and its shadow begin
EXPLAINED = 0.55  # of a blob in a detection
LOST_MS = {True: 1600.0, False: 900.0}  # until a track ends; with a class, and without
OUT_MS = 350.0  # likewise, where it was at the border on its way out
TENTATIVE_MS = 450.0  # likewise, where it was seen in one or two pictures only
SETTLED = 3  # pictures


@dataclass(slots=True)
class Step:
    """What a picture did to the tracks."""

    time_ms: float
    alive: list[Track] = field(default_factory=list)
    born: list[Track] = field(default_factory=list)
    ended: list[Track] = field(default_factory=list)


class Tracker:
    """Push what each picture shows; `tracks` are followed."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing is followed; numbers go on."""
        self.tracks: list[Track] = []
        self._next = getattr(self, "_next", 1)

    def push(
        self,
        detections: Sequence[Detection],
        blobs: Sequence[Blob],
        time_ms: float,
        unchanged: Callable[[Track], bool],
    ) -> Step:
        """A picture's findings; `unchanged` says whether a track's place looks as it did."""
        free = list(self.tracks)
        sure = [d for d in detections if d.score >= SURE]
        unsure = [d for d in detections if d.score < SURE]
        crowds = [d for d in sure if self._several(d.box, blobs)]
        sure = [d for d in sure if d not in crowds]
        left = self._match(sure, free, time_ms)
        known = [t for t in free if t.n_detected]
        unfit = self._match(unsure, known, time_ms)
        free = [t for t in free if t.seen_ms < time_ms]
        explained = [d.box for d in detections if d not in unfit and d not in crowds]
        rest = [b for b in blobs if not any(_explains(box, b.box) for box in explained)]
        rest = self._match_blobs(rest, free, time_ms)
        for crowd in crowds:
            for track in self.tracks:
                if track.seen_ms == time_ms and inside(track.box, crowd.box) > EXPLAINED:
                    track.vote(crowd.label, crowd.score)
        step = Step(time_ms, born=self._begin(left, rest, time_ms))
        for track in free:
            if unchanged(track):
                track.keep(time_ms)
        self._end(step)
        step.alive = list(self.tracks)
        return step

    def _several(self, box: Box, blobs: Iterable[Blob]) -> bool:
        """Whether a detection covers two things that are followed apart."""
        own = [t for t in self.tracks if t.n_sights >= SETTLED and inside(t.box, box) > EXPLAINED]
        return len([t for t in own if any(iou(t.box, b.box) > 0.3 for b in blobs)]) > 1

    def _match(
        self, found: Sequence[Detection], free: list[Track], time_ms: float
    ) -> list[Detection]:
        """Gives detections to tracks, the best fits first; those that fit none."""
        pairs = _fits([d.box for d in found], free, time_ms)
        given: set[int] = set()
        for i, track in pairs:
            if i in given or track not in free:
                continue
            given.add(i)
            free.remove(track)
            track.push(Sight(time_ms, found[i].box, True))
            track.vote(found[i].label, found[i].score)
        return [d for i, d in enumerate(found) if i not in given]

    def _match_blobs(self, found: Sequence[Blob], free: list[Track], time_ms: float) -> list[Blob]:
        given: set[int] = set()
        for i, track in _fits([b.box for b in found], free, time_ms):
            if i in given or track not in free:
                continue
            given.add(i)
            free.remove(track)
            track.push(Sight(time_ms, found[i].box, False))
        return [b for i, b in enumerate(found) if i not in given]

    def _begin(
        self, detections: Iterable[Detection], blobs: Iterable[Blob], time_ms: float
    ) -> list[Track]:
        born = []
        both: list[Detection | Blob] = [*detections, *blobs]
        for found in both:
            if len(self.tracks) >= MAX_TRACKS:
                break
            detected = isinstance(found, Detection)
            track = Track(self._next, Sight(time_ms, found.box, detected))
            if isinstance(found, Detection):
                track.vote(found.label, found.score)
            track.part = any(
                _beside(found.box, t.box) for t in self.tracks if t.n_sights >= SETTLED
            )
            self._next += 1
            self.tracks.append(track)
            born.append(track)
        return born

    def _end(self, step: Step) -> None:
        for track in list(self.tracks):
            missing_ms = step.time_ms - track.kept_ms
            if missing_ms > self._patience_ms(track):
                self.tracks.remove(track)
                step.ended.append(track)

    def _patience_ms(self, track: Track) -> float:
        """How long a track may be missed."""
        if track.n_sights < SETTLED:
            return TENTATIVE_MS
        if track.going_out or track.gone:
            return OUT_MS
        return LOST_MS[track.label != SOMETHING]


def _fits(boxes: Sequence[Box], tracks: Iterable[Track], time_ms: float) -> list[tuple[int, Track]]:
    """Pairs that may be one thing, the likeliest first."""
    pairs = []
    for track in tracks:
        expected = track.predicted(time_ms)
        for i, box in enumerate(boxes):
            same, away = iou(expected, box), apart(expected, box)
            ratio = min(expected.size, box.size) / max(1.0, expected.size, box.size)
            if same >= MIN_IOU or (away <= NEAR and ratio > 0.4):
                pairs.append((same - 0.3 * away + 0.2 * ratio, i, track))
    pairs.sort(key=lambda pair: -pair[0])
    return [(i, track) for _, i, track in pairs]


def _explains(detected: Box, blob: Box) -> bool:
    """Whether a blob is part of what was detected, or little more than it."""
    if inside(blob, detected) >= EXPLAINED:
        return True
    return inside(detected, blob) >= EXPLAINED and overlap(detected, blob) > 0.3 * blob.area


def _beside(box: Box, other: Box) -> bool:
    """Whether most of a box lies in another one or close to it."""
    room = BESIDE * other.size
    near = Box(other.left - room, other.top - room, other.right + room, other.bottom + room)
    return inside(box, near) > EXPLAINED
