# SPDX-License-Identifier: Apache-2.0
"""The scenes that the commentator learns from: what is told happens in the pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TOOLS = Path(__file__).parents[1] / "tools" / "train_watch"
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", autouse=True)
def _tools_on_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(TOOLS), *sys.path])
        yield


def scene(seed: int, n: int = 100):
    from script import Script

    return Script(n, np.random.default_rng(seed)).write()


@given(
    st.sampled_from(["enters", "leaves", "stops", "moves", "light on", "light off", "covered",
                     "clear", "camera moves"]),
    st.integers(0, 2), st.integers(0, 8), st.integers(0, 3),
)  # fmt: skip
def test_every_comment_can_be_read_back(kind, size, colour, side) -> None:
    from vocabulary import COLOURS, END, PLAIN, SIDES, SIZES, WORDS, Event, parse

    subject = ("", "") if kind in PLAIN else (SIZES[size], COLOURS[colour])
    event = Event(kind, 1.0, *subject, "" if kind in (*PLAIN, "stops") else SIDES[side])
    assert parse(event.text, 1.0) == event
    *words, end = event.tokens
    assert " ".join(WORDS[w] for w in words) == event.text
    assert end == END
    assert parse(event.text + " thing", 1.0) is None


@given(seeds)
@settings(max_examples=60)
def test_what_is_told_of_a_thing_is_where_it_is(seed) -> None:
    from script import HEIGHT, PICTURE_MS, WIDTH

    s = scene(seed)
    for event in s.events:
        turn = round(event.visible_ms / PICTURE_MS)
        x, y = s.position[turn]
        inside = s.thing[turn] >= 0 and 0 <= x < WIDTH and 0 <= y < HEIGHT
        if event.kind == "enters":
            assert inside
            assert s.thing[turn] == s.thing[turn - 1] or s.thing[turn - 1] < 0
        elif event.kind == "leaves":
            assert not inside
            past = {"left": x < 0, "right": x >= WIDTH, "top": y < 0, "bottom": y >= HEIGHT}
            assert past[event.side]
        elif event.kind == "stops":
            assert (s.position[turn] == s.position[turn - 1]).all() or s.thing[turn] < 0
        elif event.kind == "moves" and turn + 1 < s.n:
            assert (s.position[turn] != s.position[turn - 1]).any()


@given(seeds)
@settings(max_examples=15)
def test_light_and_cover_are_seen_in_the_pictures(seed) -> None:
    from draw import SEEN_HEIGHT, SEEN_WIDTH, draw
    from script import PICTURE_MS

    s = scene(seed)
    pictures = draw(s, "train")
    assert pictures.shape == (s.n, SEEN_HEIGHT, SEEN_WIDTH, 3)
    bright = pictures.mean((1, 2, 3))
    for event in s.events:
        turn = round(event.visible_ms / PICTURE_MS)
        if event.kind == "light off":
            assert bright[turn] < 0.75 * bright[turn - 1]
        if event.kind == "light on":
            assert bright[turn] > bright[turn - 1]


def test_a_scene_without_events_differs_by_noise_alone() -> None:
    from draw import draw
    from script import Script

    for seed in range(5):
        s = Script(30, np.random.default_rng(seed))
        steps = np.abs(np.diff(draw(s, "held-out").astype(np.float32), axis=0)).mean((1, 2, 3))
        assert steps.max() < 20
        assert not s.comments()


def test_the_same_seed_draws_the_same_scene() -> None:
    from draw import draw

    first, again = draw(scene(7), "train"), draw(scene(7), "train")
    assert np.array_equal(first, again)
    assert not np.array_equal(first, draw(scene(8), "train"))


def test_held_out_surfaces_and_shapes_are_never_in_training() -> None:
    from textures import BACKGROUNDS, SHAPES

    for families in (BACKGROUNDS, SHAPES):
        assert not set(families["train"]) & set(families["held-out"])


@given(st.dictionaries(st.integers(0, 19), st.lists(st.integers(3, 30), min_size=1, max_size=9)))
def test_rows_hold_each_picture_and_word_once_in_order(words) -> None:
    from vocabulary import BOS, END, SILENCE, lay_out

    comments = [(turn, [*said, END]) for turn, said in words.items()]
    rows, targets = lay_out(comments, 20)
    assert len(rows) == len(targets)
    assert [-1 - r for r in rows if r < 0] == list(range(20))
    assert rows[0] == BOS
    # What follows each row is the next row, silence before the next picture, or not asked.
    for row, target, after in zip(rows, targets, [*rows[1:], -99], strict=True):
        if target == SILENCE:
            assert row < 0
            assert after < 0
        elif target == -1:
            assert row in (BOS, END)
        else:
            assert target == after


def test_a_mirrored_example_tells_the_other_side() -> None:
    pytest.importorskip("torch")
    import json

    from make_scenes import scene as made
    from train_watch import Scenes
    from vocabulary import TOKEN

    class Coin:
        """Draws the first scene and crop, and as told for mirror and flip."""

        def __init__(self, *tosses):
            self.tosses = list(tosses)

        def integers(self, low, high):
            return low

        def random(self):
            return self.tosses.pop(0)

    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        pictures, truth = made(3, "train", 100)
        path = Path(folder) / "one"
        np.save(path.with_suffix(".npy"), pictures[None])
        path.with_suffix(".json").write_text(json.dumps({"scenes": [truth]}))
        scenes = Scenes(path, 0)
        scenes.random = Coin(0.9, 0.9)
        plain = scenes._example(0)
        scenes.random = Coin(0.1, 0.9)
        mirrored = scenes._example(0)
    assert np.array_equal(mirrored["pictures"], plain["pictures"][:, :, ::-1])
    left, right = TOKEN["left"], TOKEN["right"]
    swap = {left: right, right: left}
    assert mirrored["rows"] == [swap.get(r, r) for r in plain["rows"]]
    assert mirrored["rows"] != plain["rows"]
    assert np.allclose(mirrored["position"][:, 0], 1 - plain["position"][:, 0])
