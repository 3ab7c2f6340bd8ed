# SPDX-License-Identifier: Apache-2.0
"""The scenes that the commentator learns from: what is told happens in the pictures."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laid_out import expect_words_in_order

TOOLS = Path(__file__).parents[2] / "tools" / "train" / "watch"
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


def thing_of(s, event):
    """The visitor that an event is about: the one of that name which is there around it."""
    from script import PICTURE_MS

    turn = round(event.visible_ms / PICTURE_MS)
    named = [t for t in s.things if (t.size, t.colour) == (event.size, event.colour)]
    return next(t for t in named if not np.isnan(t.path[turn - 1 : turn + 1]).all())


@given(seeds)
@settings(max_examples=60)
def test_what_is_told_of_a_thing_is_where_it_is(seed) -> None:
    from script import HEIGHT, PICTURE_MS, WIDTH
    from vocabulary import OF_THINGS

    s = scene(seed)
    for event in s.events:
        if event.kind not in OF_THINGS:
            continue
        turn, thing = round(event.visible_ms / PICTURE_MS), thing_of(s, event)
        (x, y), before = thing.path[turn], thing.path[turn - 1]
        if event.kind == "enters":
            assert thing.here[turn]
            assert not thing.here[turn - 1]
        elif event.kind == "leaves":
            assert not thing.here[turn]
            assert thing.here[turn - 1]
            past = {"left": x < 0, "right": x >= WIDTH, "top": y < 0, "bottom": y >= HEIGHT}
            assert past[event.side]
        elif event.kind == "stops":
            assert (thing.path[turn] == before).all()
        elif event.kind == "moves":
            assert (thing.path[turn] != before).any()


@given(seeds)
@settings(max_examples=60)
def test_every_event_is_told_soon_unless_the_scene_ends(seed) -> None:
    from script import PICTURE_MS

    s = scene(seed)
    told = {id(event): turn for turn, event in s.comments().items()}
    for event in s.events:
        turn = event.visible_ms / PICTURE_MS
        assert turn < s.n
        if turn < s.n - 7:
            assert 1 <= told[id(event)] - turn <= 7


@given(seeds)
@settings(max_examples=40)
def test_two_visitors_at_once_are_told_apart(seed) -> None:
    s = scene(seed)
    for first, second in pairwise(s.things):
        assert (first.size, first.colour) != (second.size, second.colour)
    both = sum((t.here.astype(int) for t in s.things), np.zeros(s.n, int))
    assert both.max(initial=0) <= 2


@given(seeds)
@settings(max_examples=40)
def test_truths_say_what_is_drawn(seed) -> None:
    from make_scenes import truth_of
    from script import HEIGHT, WIDTH
    from vocabulary import COLOURS, SIZES

    s = scene(seed)
    truth = truth_of(s)
    for turn in range(s.n):
        there = [t for t in s.things if t.here[turn]]
        assert truth["here"][turn] == {0: 0, 1: 1}.get(len(there), -1)
        if len(there) == 1:
            thing = there[0]
            assert COLOURS[truth["colour"][turn]] == thing.colour
            assert SIZES[truth["size"][turn]] == thing.size
            where = np.array(truth["position"][turn]) * (WIDTH, HEIGHT)
            assert np.allclose(where, thing.path[turn], atol=0.1)


@given(seeds)
@settings(max_examples=15)
def test_light_is_seen_in_the_pictures(seed) -> None:
    from camera import SEEN_HEIGHT, SEEN_WIDTH
    from draw import draw
    from script import PICTURE_MS

    s = scene(seed)
    pictures = draw(s, "train", photographs=False)
    assert pictures.shape == (s.n, SEEN_HEIGHT, SEEN_WIDTH, 3)
    bright = pictures.mean((1, 2, 3))
    for event in s.events:
        turn = round(event.visible_ms / PICTURE_MS)
        if event.kind == "light off":
            assert bright[turn] < 0.85 * bright[turn - 1]
        if event.kind == "light on":
            assert bright[turn] > bright[turn - 1]


@given(seeds)
@settings(max_examples=15)
def test_nothing_of_the_background_is_left_when_covered(seed) -> None:
    from draw import draw
    from script import Script

    s = Script(6, np.random.default_rng(seed))
    s.cover[3:] = 1
    pictures = np.float32(draw(s, "held-out", photographs=False))
    # A cover is flat but for a slope from side to side: its rows are alike up to noise.
    rows = pictures[3:].mean((0, 2))
    assert np.ptp(rows, axis=0).max() < 12


def test_things_stand_out_from_the_background_they_are_drawn_on() -> None:
    from draw import visibility
    from textures import mover

    random = np.random.default_rng(0)
    shades = np.float32(random.uniform(0.45, 0.55, (15, 17, 1))).repeat(16, 0).repeat(16, 1)
    grey = shades.repeat(3, 2)
    looks = {c: [mover(14, c, "train", random)] for c in ("grey", "red")}
    assert visibility(grey, looks["red"]) >= 1
    assert visibility(grey, looks["grey"]) < 1
    assert visibility(np.full_like(grey, 0.5), looks["red"]) < 1
    assert visibility(0.2 * grey, looks["red"]) < 1


@given(seeds, st.sampled_from([(128, 96), (640, 480), (640, 360), (200, 300)]))
@settings(max_examples=30)
def test_a_thing_is_drawn_where_the_script_says_at_any_size(seed, size) -> None:
    from draw import Frame, Stage
    from script import HEIGHT, WIDTH, Script, Thing
    from textures import any_colour, mover

    random = np.random.default_rng(seed)
    frame = Frame(*size)
    stage = Stage(Script(1, random), "held-out", photographs=False, frame=frame)
    stage.shadow, stage.hidden = 0.0, (0, 0)
    thing = Thing("middling", any_colour(random), 15.0, np.zeros((1, 2), np.float32))
    colours, mask = mover(thing.radius_px * frame.size, thing.colour, "held-out", random)
    at = random.uniform((40, 40), (WIDTH - 40, HEIGHT - 40)).astype(np.float32)
    empty = np.full((frame.height, frame.width, 3), -1, np.float32)  # no colour is near to it
    drawn = empty.copy()
    stage.show(drawn, at, (colours, mask))
    changed = np.argwhere((drawn != empty).any(2))
    top_left, bottom_right = changed.min(0), changed.max(0)
    inside = np.argwhere(mask > 0)
    middle = np.array(mask.shape) // 2
    wanted = np.array(frame.of(*at))[::-1] - middle
    assert np.abs(top_left - (wanted + inside.min(0))).max() <= 1
    assert np.abs(bottom_right - (wanted + inside.max(0))).max() <= 1


def test_a_video_shows_the_script_at_its_own_rate(tmp_path) -> None:
    import cv2
    from draw import Frame
    from make_videos import write_video
    from script import Script

    script = Script(20, np.random.default_rng(5))
    script.light[10:] = 0.3
    path = tmp_path / "scene.avi"
    write_video(path, script, "held-out", Frame(160, 120), fps=15, codec="MJPG", photographs=False)
    capture, bright = cv2.VideoCapture(str(path)), []
    while (taken := capture.read())[0]:
        assert taken[1].shape == (120, 160, 3)
        bright.append(taken[1].mean())
    assert len(bright) == 20 * 15 // 5
    assert max(bright[30:]) < 0.7 * min(bright[:30])


def test_a_scene_without_events_differs_by_noise_alone() -> None:
    from draw import draw
    from script import Script

    for seed in range(5):
        s = Script(30, np.random.default_rng(seed))
        pictures = draw(s, "held-out", photographs=False).astype(np.float32)
        assert np.abs(np.diff(pictures, axis=0)).mean((1, 2, 3)).max() < 20
        assert not s.comments()


@given(seeds, st.sampled_from(["small", "middling", "large"]))
@settings(max_examples=60)
def test_the_size_of_a_thing_is_its_area_whatever_its_shape(seed, size) -> None:
    from script import RADII_PX
    from textures import FILLED, any_colour, mover

    random = np.random.default_rng(seed)
    radius = random.uniform(*RADII_PX[size])
    which = ("train", "held-out")[seed % 2]
    _, mask = mover(radius, any_colour(random), which, random)
    edge = 1.3 / radius  # its pixels are in or out as a whole
    assert mask.sum() == pytest.approx(FILLED * radius**2, rel=0.15 + edge)


@pytest.mark.parametrize("which", ["train", "held-out"])
def test_photographs_are_drawn_in_range(which) -> None:
    pytest.importorskip("skimage")
    from photographs import NAMES, photograph

    for seed in range(8):
        part = photograph((80, 60), which, np.random.default_rng(seed))
        assert part.shape == (60, 80, 3)
        assert 0 <= part.min() < part.max() <= 1
    assert not set(NAMES["train"]) & set(NAMES["held-out"])


def test_the_same_seed_draws_the_same_scene() -> None:
    from draw import draw

    first, again, other = (draw(scene(seed), "train", photographs=False) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


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
    expect_words_in_order(rows, targets, begins=BOS, ends=END, silence=SILENCE)


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
        pictures, truth = made(3, "train", 100, photographs=False)
        path = Path(folder) / "one"
        np.save(path.with_suffix(".npy"), pictures[None])
        path.with_suffix(".json").write_text(json.dumps({"scenes": [truth]}))
        scenes = Scenes(path, 0)
        scenes.random = Coin(0.1, 0.9, 0.9)
        plain = scenes._example(0)
        scenes.random = Coin(0.1, 0.1, 0.9)
        mirrored = scenes._example(0)
    assert np.array_equal(mirrored["pictures"], plain["pictures"][:, :, ::-1])
    left, right = TOKEN["left"], TOKEN["right"]
    swap = {left: right, right: left}
    assert mirrored["rows"] == [swap.get(r, r) for r in plain["rows"]]
    assert mirrored["rows"] != plain["rows"]
    assert np.allclose(mirrored["position"][:, 0], 1 - plain["position"][:, 0])


def test_an_example_from_the_middle_has_seen_what_was_before() -> None:
    torch = pytest.importorskip("torch")
    from train_watch import Scenes
    from watcher import PictureEncoder, Shape

    scenes = Scenes.__new__(Scenes)
    scenes.pictures = np.random.default_rng(0).integers(0, 256, (1, 30, 48, 64, 3), np.uint8)
    encoder = PictureEncoder(Shape())
    for first in (0, 1, 2, 30):
        before = scenes._before(0, first)
        assert before["any"] == (first > 0)
        if first:
            pictures = torch.from_numpy(scenes.pictures[:, :first]).float() / 255
            last, background, _ = encoder(pictures, *encoder.start(1))[1]
            for name, state in (("last", last), ("background", background)):
                wanted = state[0].permute(1, 2, 0).detach().numpy()
                assert np.allclose(before[name] / 255, wanted, atol=1e-5)


events = st.builds(
    lambda kind, turn, side: (kind, 200.0 * turn, side),
    st.sampled_from(["enters", "leaves"]), st.integers(0, 60), st.sampled_from(["left", "top"]),
)  # fmt: skip


def as_events(drawn):
    from vocabulary import Event

    return [Event(kind, at_ms, "small", "red", side) for kind, at_ms, side in drawn]


@given(st.lists(events, max_size=12))
def test_telling_all_that_happened_scores_one(drawn) -> None:
    from event_score import Score

    score = Score()
    score.add(as_events(drawn), as_events(drawn))
    assert score.f1 == score.f1_but_subject == 1
    assert all(abs(late) <= 1500 for late in score.late_ms)


@given(st.lists(events, max_size=12), st.lists(events, max_size=12))
def test_no_event_is_counted_twice_and_none_from_afar(told, happened) -> None:
    from event_score import WITHIN_MS, match, same, same_but_subject

    told, happened = as_events(told), as_events(happened)
    pairs = match(told, happened, same)
    assert len({id(t) for t, _ in pairs}) == len(pairs)
    assert len({id(h) for _, h in pairs}) == len(pairs)
    for comment, event in pairs:
        assert abs(comment.visible_ms - event.visible_ms) <= WITHIN_MS
        assert (comment.kind, comment.side) == (event.kind, event.side)
    assert len(pairs) <= len(match(told, happened, same_but_subject))


def test_wrong_subjects_late_and_garbled_comments_are_not_right() -> None:
    from event_score import Score
    from vocabulary import Event

    happened = [Event("enters", 1000, "small", "red", "left")]
    for told, right, right_but_subject in (
        ([Event("enters", 2500, "small", "red", "left")], 1, 1),
        ([Event("enters", 2600, "small", "red", "left")], 0, 0),
        ([Event("enters", 1400, "small", "blue", "left")], 0, 1),
        ([Event("enters", 1400, "small", "red", "top")], 0, 0),
        ([None], 0, 0),
        ([], 0, 0),
    ):
        score = Score()
        score.add(told, happened)
        assert (score.right.total(), score.right_but_subject) == (right, right_but_subject)
        assert score.f1 == 2 * right / (len(told) + 1)


def test_what_the_end_leaves_no_time_for_is_not_counted() -> None:
    from event_score import Score
    from vocabulary import Event

    first, last = (Event("stops", at_ms, "small", "red") for at_ms in (1000, 9000))
    for told in ([], [last], [Event("stops", 9900, "small", "blue")]):
        score = Score()
        score.add([first, *told], [first, last], until_ms=8500)
        assert (score.right.total(), score.n_told, score.happened.total()) == (1, 1, 1)
    score = Score()
    score.add([Event("stops", 8600, "small", "red")], [Event("stops", 8400, "small", "red")], 8500)
    assert score.f1 == 1
