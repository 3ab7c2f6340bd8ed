# SPDX-License-Identifier: Apache-2.0
"""Who is who from picture to picture, where two things are near each other."""

from __future__ import annotations

from edgestream.vision.labels import PERSON
from edgestream.vision.perception.background import Blob
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.detector import Detection
from edgestream.vision.perception.tracker import Tracker

STANDS = Box(100, 60, 130, 140)


def person(box: Box) -> Detection:
    return Detection(box, PERSON, 0.9)


def stand(tracker: Tracker, pictures: int = 8) -> float:
    """Somebody stands there; the time of the next picture."""
    for i in range(pictures):
        tracker.push([person(STANDS)], [], 200.0 * i, lambda _: True)
    return 200.0 * pictures


def test_who_stands_does_not_become_who_passes() -> None:
    tracker = Tracker()
    time_ms = stand(tracker)
    passes = STANDS._replace(left=STANDS.left + 40, right=STANDS.right + 40)
    step = tracker.push([person(passes)], [], time_ms, lambda _: True)
    assert len(step.alive) == 2
    assert tracker.tracks[0].sights[-1].box == STANDS


def test_who_was_missed_for_long_may_be_found_farther_away() -> None:
    tracker = Tracker()
    time_ms = stand(tracker) + 800
    away = STANDS._replace(left=STANDS.left + 40, right=STANDS.right + 40)
    assert len(tracker.push([person(away)], [], time_ms, lambda _: False).alive) == 1


def test_a_blob_of_two_who_meet_is_neither_of_them() -> None:
    tracker = Tracker()
    time_ms = stand(tracker)
    both = STANDS._replace(right=STANDS.right + 60)
    tracker.push([], [Blob(both, 0.1)], time_ms, lambda _: True)
    assert tracker.tracks[0].sights[-1].box == STANDS
    own = STANDS._replace(right=STANDS.right + 3)
    tracker.push([], [Blob(own, 0.05)], time_ms + 200, lambda _: True)
    assert tracker.tracks[0].sights[-1].box == own


def test_a_new_track_knows_beside_whom_it_began() -> None:
    tracker = Tracker()
    time_ms = stand(tracker)
    beside = Box(118, 70, 146, 140)
    step = tracker.push([person(STANDS), person(beside)], [], time_ms, lambda _: True)
    assert [t.part_of for t in step.born] == [{PERSON}]
    assert step.born[0].part
