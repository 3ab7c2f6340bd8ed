# SPDX-License-Identifier: Apache-2.0
"""What is shown of followed things: the right part of the right picture, in bounded memory."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marked_scene import HEIGHT, WIDTH, corner, ground

from edgestream.events import Comment, Happening
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.track import Sight, Track
from edgestream.vision.vlm import facts
from edgestream.vision.vlm.crops import KEPT_MS, MOST_ASPECT, Crops, around, cut_out

LARGE = 1 << 30


def track(number, box, time_ms=0.0, label="person"):
    made = Track(number, Sight(time_ms, box, True))
    made.vote(label, 2.0)
    return made


def looked(time_ms, *alive, scale=1.0):
    step = SimpleNamespace(time_ms=time_ms, alive=list(alive), hidden=[])
    return SimpleNamespace(step=step, width=WIDTH * scale, height=HEIGHT * scale, scale=scale)


sizes = st.integers(1, 2000)


@given(width=sizes, height=sizes, corners=st.tuples(*[st.floats(0, 1)] * 4))
def test_a_part_lies_in_the_picture_and_holds_the_box(width, height, corners):
    x, y = sorted(corners[:2]), sorted(corners[2:])
    box = Box(x[0] * width, y[0] * height, x[1] * width, y[1] * height)
    left, top, right, bottom = around(box, width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left - 1 <= box.left <= box.right <= right + 1
    assert top - 1 <= box.top <= box.bottom <= bottom + 1
    across, down = right - left, bottom - top
    if across < width and down < height:  # there is room
        assert max(across, down) <= MOST_ASPECT * min(across, down) + MOST_ASPECT + 1


def test_a_part_is_cut_out_of_the_sources_own_picture():
    """Boxes are in the picture that was looked at, here half as large."""
    part = cut_out(ground(), Box(60.0, 50.0, 80.0, 70.0), 0.5)  # 120 to 160, 100 to 140
    assert corner(part) == (112, 92)
    assert part.shape[:2] == (56, 56)


def test_the_newest_part_is_kept_until_it_was_told_of():
    crops = Crops(LARGE)
    one = track(7, Box(40.0, 40.0, 80.0, 80.0))
    crops.push(ground(), looked(0.0, one))
    first = crops.of(7).rgb
    one.push(Sight(200.0, Box(200.0, 100.0, 240.0, 140.0), True))
    crops.push(ground(), looked(200.0, one))
    assert corner(crops.of(7).rgb) == (192, 92)
    assert corner(first) == (32, 32)  # a copy
    for time_ms in (400.0, 600.0 + KEPT_MS):  # it stands, then is gone
        crops.push(ground(), looked(time_ms, one))
    gone_ms = 600.0 + KEPT_MS
    crops.push(ground(), looked(gone_ms + KEPT_MS + 1))
    assert crops.of(7) is not None  # a slow source tells of it with this picture
    crops.push(ground(), looked(gone_ms + KEPT_MS + 2))
    assert crops.of(7) is None
    assert crops.of(None) is None


def test_of_what_goes_out_most_is_shown():
    crops = Crops(LARGE)
    one = track(1, Box(270.0, 100.0, 310.0, 140.0))
    crops.push(ground(), looked(0.0, one))
    one.push(Sight(200.0, Box(312.0, 100.0, 320.0, 140.0), True))
    crops.push(ground(), looked(200.0, one))
    assert corner(crops.of(1).rgb) == (262, 92)


def test_thousands_of_things_take_no_more_memory():
    crops = Crops(1000)
    for number in range(3000):
        one = track(number, Box(0.0, 0.0, 200.0, 200.0), 200.0 * number)
        crops.push(ground(), looked(200.0 * number, one))
        assert len(crops._crops) <= KEPT_MS / 200.0 + 2
        assert all(c.rgb.shape[0] * c.rgb.shape[1] < 1100 for c in crops._crops.values())
    crops.reset()
    assert crops.newest is None
    assert crops.of(2999) is None


@pytest.mark.parametrize("size", [(16, 1), (160, 10), (1601, 101), (7, 100)])
def test_a_smaller_copy_is_no_longer_than_the_picture(size):
    width, height = size
    down, across = Crops(50)._bounded(np.zeros((height, width, 3), np.uint8)).shape[:2]
    assert max(across, down) / min(across, down) <= max(width, height) / min(width, height)


def told(text, kind="enters", **fields):
    return Comment.of(text, 65_000.0, Happening(kind, track=1, **fields))


def test_facts_are_plain_words():
    one = track(1, Box(10.0, 10.0, 50.0, 90.0))
    one.paint("red")
    others = [track(2, Box(0, 0, 9, 9)), track(3, Box(0, 0, 9, 9)), track(4, one.box, 0, "vehicle")]
    at = looked(65_000.0, one)
    crops = Crops(LARGE)
    crops.push(ground(), looked(0.0, one))
    shown = "You see a person, mainly red, at the upper left"
    assert facts.of_happening(told("A person enters."), crops.of(1), others) == (
        f"A person enters. {shown}. First seen 65 seconds ago. Also there: two people, a vehicle."
    )
    assert facts.of_happening(told("She leaves.", "leaves"), crops.of(1), None) == (
        f"She leaves. {shown}, as it was last seen. First seen 65 seconds ago."
    )
    assert facts.of_happening(told("Two people enter.", count=2), None, others[:2]) == (
        "Two people enter. You see the whole picture. In view: two people."
    )
    assert facts.of_view([one, others[2]], at) == (
        "In view now: a person, mainly red, at the upper left, for 65 seconds;"
        " a vehicle at the upper left, for 65 seconds."
    )
    assert facts.of_view([one] * 11, at).endswith("for 65 seconds; and 3 more.")
    assert facts.of_view([], at) == "Nothing is followed in the picture now."


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        (0.0, 0.0, "at the upper left"), (0.5, 0.5, "in the middle"),
        (1.0, 1.0, "at the lower right"), (0.9, 0.5, "at the right"),
        (0.5, 0.9, "at the bottom"), (1.2, -0.1, "at the upper right"),
    ],
)  # fmt: skip
def test_places_have_names(x, y, said):
    assert facts.place(x, y) == said


@pytest.mark.parametrize(
    ("ms", "said"),
    [(400.0, "just now"), (1000.0, "1 second ago"), (119e3, "119 seconds ago"),
     (120e3, "2 minutes ago"), (7200e3, "2 hours ago")],
)  # fmt: skip
def test_times_have_units(ms, said):
    one = track(1, Box(10.0, 10.0, 50.0, 90.0), 65_000.0 - ms)
    crops = Crops(LARGE)
    crops.push(ground(), looked(65_000.0 - ms, one))
    assert f"First seen {said}." in facts.of_happening(told("It moves."), crops.of(1), [])
