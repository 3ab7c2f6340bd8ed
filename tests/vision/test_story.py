# SPDX-License-Identifier: Apache-2.0
"""What one track does, told from its sights: who stands, who hangs in, who was hidden."""

from __future__ import annotations

import pytest

from edgestream.vision.labels import PERSON, VEHICLE
from edgestream.vision.perception.border import note_border
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.track import Sight, Track
from edgestream.vision.tracked.story import Story

WIDTH, HEIGHT = 320, 240
STEP_MS = 200.0


def follow(boxes, *, first_ms=4000.0, label=PERSON, kept=(), part_of=(), gone=True):
    """The acts of a track that was found at those boxes (None: missed), and ended then.

    `kept`: the pictures in which it is missed and its place looks as before.
    """
    track = Track(1, Sight(first_ms, boxes[0], True))
    track.vote(label, 0.9)
    track.cover(0.7)
    track.part_of = set(part_of)
    story, acts, time_ms = Story(track, 0.0, WIDTH, HEIGHT), [], first_ms
    for i, box in enumerate(boxes):
        time_ms = first_ms + i * STEP_MS
        if i and box is not None:
            track.push(Sight(time_ms, box, True))
            track.vote(label, 0.9)
            track.cover(0.7)
        if box is not None:
            note_border(track, WIDTH, HEIGHT)
        if i in kept:
            track.keep(time_ms)
        acts += story.push(time_ms)
    track.gone = gone
    return acts + list(story.end(time_ms + 400))


def walk(n, *, start=0.0, step=12.0, top=60.0):
    """Boxes of a person of 30 x 80 who walks to the right."""
    return [Box(start + step * i, top, start + step * i + 30, top + 80) for i in range(n)]


def kinds(acts):
    return [(a.kind, a.side or a.direction) for a in acts]


def test_a_walker_enters_stops_and_moves_on() -> None:
    there = walk(10)
    stands = [there[-1]] * 8
    on = walk(4, start=there[-1].left + 12)
    acts = follow([*there, *stands, *on])
    assert kinds(acts)[:3] == [("enters", "left"), ("stops", None), ("moves", "right")]
    assert acts[1].time_ms == 4000 + 9 * STEP_MS


def test_moving_on_is_dated_by_the_first_picture_away_from_the_place() -> None:
    there = walk(10)
    missed = [None] * 10  # nothing changes, so nobody looks
    acts = follow(
        [*there, *[there[-1]] * 6, *missed, *walk(4, start=there[-1].left + 12)],
        kept=range(16, 26),
    )
    moves = next(a for a in acts if a.kind == "moves")
    assert moves.time_ms == 4000 + 26 * STEP_MS


def test_who_walks_in_the_first_pictures_is_not_told_to_move() -> None:
    assert "moves" not in dict(kinds(follow(walk(9, start=40), first_ms=0.0)))
    stood = [walk(1, start=40)[0]] * 16
    assert ("moves", "right") in kinds(follow([*stood, *walk(5, start=52)], first_ms=0.0))


def test_a_long_arm_neither_stops_nor_moves() -> None:
    down = [Box(100, 0, 160, depth) for depth in (30, 90, 150)]
    acts = follow([*down, *[Box(100, 0, 160, 150)] * 8, *reversed(down)])
    assert kinds(acts) == [("enters", "top"), ("leaves", "top")]


@pytest.mark.parametrize("label", [PERSON, VEHICLE])
def test_who_was_behind_another_of_the_same_class_does_not_enter(label) -> None:
    acts = follow(walk(8, start=100), part_of=[label])
    assert ("enters" in dict(kinds(acts))) == (label != PERSON)


def test_nobody_leaves_in_the_middle_whose_place_is_not_empty() -> None:
    for gone in (True, False):
        acts = follow(walk(10), gone=gone)
        assert ("leaves" in dict(kinds(acts))) == gone


def test_who_comes_near_at_eye_level_does_not_stop() -> None:
    came = walk(6)
    head, x = came[-1].top, came[-1].centre[0]
    nearer = [Box(x - 15 - k, head, x + 15 + k, head + 80 + 5 * k) for k in range(1, 10)]
    assert "stops" not in dict(kinds(follow([*came, *nearer])))


def test_who_only_jumps_to_another_place_did_not_move() -> None:
    there = walk(10)
    other = there[-1]._replace(left=there[-1].left + 40, right=there[-1].right + 40)
    acts = follow([*there, *[there[-1]] * 8, *[other] * 10])
    assert "moves" not in dict(kinds(acts))
