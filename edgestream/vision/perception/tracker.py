# SPDX-License-Identifier: Apache-2.0
"""Detections and blobs of each picture to tracks: who is who from one picture to the next.

After ByteTrack (Zhang et al. 2022, arXiv 2110.06864): sure detections are matched first, unsure
ones then only to tracks that are there. Behind them come the blobs of the background model, which
follow what the detector does not know or misses for a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from edgestream.vision.labels import SOMETHING
from edgestream.vision.perception.background import Blob
from edgestream.vision.perception.boxes import Box, apart, inside, iou, overlap
from edgestream.vision.perception.detector import Detection
from edgestream.vision.perception.track import Sight, Track

SURE = 0.45  # score of a detection that may begin a track
MAX_TRACKS = 64
NEAR = 1.2  # sizes between two boxes of one thing, from one picture to the next
NEAR_STILL, SLOW = 0.6, 0.2  # likewise, of one that stands; sizes a second, of such a one
AWAY = 1.0  # sizes more, each second that it is missed
SMALLER, LARGER = 0.75, 1.3  # sizes of what was detected, that a blob of it has
SIZE_MS = 1500.0  # in which it was so large
MIN_IOU, SAME_IOU = 0.15, 0.5
UNSURE_IOU = 0.4  # of an unsure detection with what was never detected
LEAST_RATIO = 0.4  # of two sizes of one thing
PART_OF_SEVERAL, GAP_OF_SEVERAL = 0.08, 0.15  # of a box around several, each and between them
ARM_TOP = 0.1  # of its height, below the border
HIDDEN_MS = 3000.0  # until a thing that vanished in the middle of the picture is taken for gone
HIDDEN_NEAR, HIDDEN_RATIO = 2.0, 0.6  # sizes from where it should be, and of its size, when back
PART_MS = 1000.0  # in which what begins where another one was may be a part of it
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
    hidden: list[Track] = field(default_factory=list)  # that may come back


class Tracker:
    """Push what each picture shows; `tracks` are followed."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing was ever followed."""
        self.forget()
        self._next = 1

    def forget(self) -> None:
        """Nothing is followed any more; numbers go on."""
        self.tracks: list[Track] = []
        self.hidden: list[Track] = []  # behind something, maybe

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
        crowds = [d for d in sure if _several(d.box, blobs) and not self._followed(d.box)]
        sure = [d for d in sure if d not in crowds]
        left = self._match(sure, free, time_ms)
        unfit = self._match(unsure, list(free), time_ms, least_iou=UNSURE_IOU)
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
        step.alive, step.hidden = list(self.tracks), list(self.hidden)
        return step

    def forget_unknown(self) -> None:
        """The view changes: of what has no class nobody can tell whether it is the same after."""
        self.tracks = [t for t in self.tracks if t.label != SOMETHING]
        self.hidden = []

    def _followed(self, box: Box) -> bool:
        """Whether the detector found one thing there before."""
        known = (t for t in self.tracks if t.n_detected >= SETTLED)
        return any(iou(t.box, box) > SAME_IOU for t in known)

    def _match(
        self, found: Sequence[Detection], free: list[Track], time_ms: float,
        least_iou: float = 0.0,
    ) -> list[Detection]:  # fmt: skip
        """Gives detections to tracks, the best fits first; those that fit none."""
        pairs = _fits([d.box for d in found], free, time_ms, least_iou)
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
            if i in given or track not in free or not _continues(found[i].box, track):
                continue
            if track.hung and found[i].box.top > ARM_TOP * found[i].box.height:
                if found[i].box.bottom < track.sights[-1].box.bottom + ARM_TOP * track.box.height:
                    continue  # an arm has no end above: this is what it put down
                track.hung = False  # it came in as a whole
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
            if isinstance(found, Detection) and self._return(found, time_ms):
                continue
            if len(self.tracks) >= MAX_TRACKS:
                break
            detected = isinstance(found, Detection)
            track = Track(self._next, Sight(time_ms, found.box, detected))
            if isinstance(found, Detection):
                track.vote(found.label, found.score)
            track.part_of = self._around(found.box, time_ms)
            self._next += 1
            self.tracks.append(track)
            born.append(track)
        return born

    def _around(self, box: Box, time_ms: float) -> set[str]:
        """Classes of what is where it begins, or was a moment ago: it may be an arm, a shadow."""
        settled = [t for t in self.tracks if t.n_sights >= SETTLED]
        since_ms = time_ms - PART_MS
        return {t.label for t in settled if any(_beside(box, s.box) for s in t.since(since_ms))}

    def _return(self, found: Detection, time_ms: float) -> bool:
        """Whether a detection is of something that was hidden; then it is followed again."""
        for track in self.hidden:
            near = apart(track.predicted(time_ms), found.box) <= HIDDEN_NEAR
            near = near or apart(track.sights[-1].box, found.box) <= HIDDEN_NEAR
            sizes = sorted((track.box.size, found.box.size))
            if track.label == found.label and near and sizes[0] >= HIDDEN_RATIO * sizes[1]:
                self.hidden.remove(track)
                self.tracks.append(track)
                track.push(Sight(time_ms, found.box, True))
                track.vote(found.label, found.score)
                return True
        return False

    def _end(self, step: Step) -> None:
        for track in list(self.tracks):
            missing_ms = step.time_ms - track.kept_ms
            if missing_ms > self._patience_ms(track):
                self.tracks.remove(track)
                hides = track.label != SOMETHING and track.n_detected >= SETTLED
                (self.hidden if hides and not track.at_border else step.ended).append(track)
        for track in list(self.hidden):
            if step.time_ms - track.seen_ms > HIDDEN_MS:
                self.hidden.remove(track)
                step.ended.append(track)

    def _patience_ms(self, track: Track) -> float:
        """How long a track may be missed."""
        if track.n_sights < SETTLED:
            return TENTATIVE_MS
        if track.going_out or track.gone or track.hung:
            return OUT_MS
        return LOST_MS[track.label != SOMETHING]


def _fits(
    boxes: Sequence[Box], tracks: Iterable[Track], time_ms: float, least_iou: float = 0.0
) -> list[tuple[int, Track]]:
    """Pairs that may be one thing, the likeliest first.

    Those below `least_iou` count only where the track was detected before.
    """
    pairs = []
    for track in tracks:
        expected, near = track.predicted(time_ms), _reach(track, time_ms)
        for i, box in enumerate(boxes):
            same, away = iou(expected, box), apart(expected, box)
            if same < least_iou and not track.n_detected:
                continue
            ratio = min(expected.size, box.size) / max(1.0, expected.size, box.size)
            if same >= MIN_IOU or (away <= near and ratio > LEAST_RATIO):
                pairs.append((same - 0.3 * away + 0.2 * ratio, i, track))
    pairs.sort(key=lambda pair: -pair[0])
    return [(i, track) for _, i, track in pairs]


def _continues(blob: Box, track: Track) -> bool:
    """Whether a blob can be what was detected before: two people who meet are one blob."""
    if track.label == SOMETHING or track.n_detected < SETTLED or track.hung:
        return True
    lately = track.since(track.seen_ms - SIZE_MS)
    size = max((s.box.size for s in lately if s.detected), default=track.box.size)
    if blob.size > LARGER * size:
        return False
    return track.going_out or blob.size > SMALLER * size


def _reach(track: Track, time_ms: float) -> float:
    """How many sizes away a thing may be found again; one that stands goes no far way at once."""
    known = track.label != SOMETHING and track.n_sights > SETTLED
    if known and float(np.abs(track.velocity()).max()) < SLOW * track.box.size:
        return min(NEAR, NEAR_STILL + AWAY * (time_ms - track.kept_ms) / 1000)
    return NEAR


def _several(box: Box, blobs: Iterable[Blob]) -> bool:
    """Whether a detection covers things side by side, as one box around the hands of two people."""
    own = sorted((b.box for b in blobs if inside(b.box, box) > EXPLAINED), key=lambda b: b.left)
    wide = [b for b in own if b.area > PART_OF_SEVERAL * box.area]
    gaps = [two.left - one.right for one, two in pairwise(wide)]
    return any(gap > GAP_OF_SEVERAL * box.width for gap in gaps)


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
