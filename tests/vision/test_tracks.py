# SPDX-License-Identifier: Apache-2.0
"""The watcher of tracks: what is told of whom, and how; the streaming law; real cameras."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_scene import scene
from hypothesis import given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream.errors import ModelError, UsageError
from edgestream.events import Comment, Gap
from edgestream.sources.picture import Picture
from edgestream.vision.chattiness import Chattiness
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.detector import Detection
from edgestream.vision.perception.perception import Looked
from edgestream.vision.perception.tracker import Tracker
from edgestream.vision.perception.view import COVERED, ViewChange
from edgestream.vision.tracked.teller import Teller
from edgestream.vision.watcher import Focus
from edgestream.vision.zones import Zones

CLIPS = Path(__file__).resolve().parents[3] / "shared" / "video"
WIDTH, HEIGHT = 400, 300


@pytest.fixture(scope="module")
def model():
    return es.load_watcher("nano-watch")


@pytest.fixture(scope="module")
def pictures():
    return list(scene(fps=10.0))


@pytest.fixture(scope="module")
def whole(model, pictures):
    stream = model.stream()
    return stream.push(pictures) + stream.finish()


def test_the_story_is_told_in_whole_sentences_and_in_fields(whole):
    assert [comment.text for comment in whole] == [
        "Something red enters from the left.",
        "The red thing stops.",
        "The red thing moves to the right.",
        "The red thing leaves to the right.",
    ]
    happenings = [comment.happening for comment in whole]
    assert [(h.kind, h.side or h.direction) for h in happenings] == [
        ("enters", "left"), ("stops", None), ("moves", "right"), ("leaves", "right"),
    ]  # fmt: skip
    assert {(h.track, h.label, h.colour, h.score) for h in happenings} == {
        (1, "something", "red", None)
    }
    assert all(0 <= c.picture_ms - c.start_ms <= 1200 for c in whole)


@given(st.lists(st.integers(1, 94), max_size=8))
@settings(max_examples=5, deadline=None)
def test_any_cutting_of_the_pictures_gives_the_same_comments(model, pictures, whole, cuts):
    stream, events = model.stream(), []
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(pictures)]):
        events += stream.push(pictures[begin:end])
    assert events + stream.finish() == whole


def test_a_stream_that_is_reset_says_the_same(model, pictures, whole):
    stream = model.stream()
    stream.push(pictures[:40])
    stream.reset()
    assert stream.push(pictures) + stream.finish() == whole


def test_numbers_go_on_over_a_gap(model, pictures):
    stream = model.stream()
    stream.push(pictures[:50])
    numbers = {thing.track for thing in stream.seen}
    stream.lose(Gap(5000.0, 6000.0, "camera lost"))
    stream.push(pictures[60:])
    assert stream.commentator.follower.perception.tracker._next > max(numbers)


def test_what_is_there_after_a_gap_was_not_seen_to_come(model, pictures):
    stream = model.stream()
    stream.push(pictures[:50])
    assert stream.seen
    (gap,) = stream.lose(Gap(5000.0, 6000.0, "camera lost"))
    assert gap.reason == "camera lost"
    assert stream.seen == ()
    told = stream.push(pictures[60:66])
    assert told == []


def test_what_is_followed_is_seen_with_its_box(model, pictures):
    stream = model.stream()
    stream.push(pictures[:50])
    (seen,) = stream.seen
    assert (seen.label, seen.colour) == ("something", "red")
    left, top, right, bottom = seen.box
    assert abs((left + right) / 2 - 160) < 12
    assert abs((top + bottom) / 2 - 120) < 12


def test_pictures_of_another_size_are_a_fresh_start(model, pictures):
    stream = model.stream()
    stream.push(pictures[:50])
    large = Picture(cv2.resize(pictures[50].rgb, (640, 480)), pictures[50].time_ms)
    assert stream.push(large) == []
    assert stream.seen == ()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (2, 2), (1, 900), (900, 1), (17, 2000), (31, 200)]
)
def test_pictures_of_any_shape_are_looked_at(model, height, width):
    random, stream = np.random.default_rng(0), model.stream()
    for i in range(12):
        rgb = np.full((height, width, 3), random.integers(256), np.uint8)
        if i % 2:
            rgb = random.integers(0, 256, rgb.shape).astype(np.uint8)
        stream.push(Picture(rgb, 200.0 * i))
    assert stream.counts.pictures == 12


@pytest.mark.parametrize(
    ("options", "said"),
    [({"prompt": "x"}, "takes no prompt"), ({"layout": "group"}, "takes no layout"),
     ({"only": ()}, "give some of person"), ({"only": ("cat",)}, "'cat' is no class of things"),
     ({"fps": 0}, "fps"), ({"chattiness": 2}, "chattiness is 2")],
)  # fmt: skip
def test_a_wrong_option_is_one_line(model, options, said):
    with pytest.raises(UsageError, match=said) as raised:
        model.stream(**options)
    assert "\n" not in str(raised.value)


def test_a_decoder_device_is_refused_and_a_changed_file_too(tmp_path):
    with pytest.raises(UsageError, match="nano-watch: has no decoder"):
        es.load_watcher("nano-watch", decoder_device="cpu")
    folder = es.load_watcher("nano-watch").folder
    for name in ("model.toml", "LICENSE"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "detector.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"detector\.onnx"):
        es.load_watcher(tmp_path)


class Stage:
    """Actors before a camera, without pictures: their detections through tracker and teller."""

    def __init__(self, chattiness=0.5, **focus):
        self.tracker, self.teller = Tracker(), Teller(Chattiness(chattiness), Focus(**focus))
        self.time_ms = 0.0

    def play(self, *frames, changes=(), hidden=False, fresh=False):
        """A list of (label, left) for each picture, tall as a person; what was told."""
        told = []
        for frame in frames:
            found = [
                Detection(Box(left, 100 + 90 * i, left + 30, 180 + 90 * i), label, 0.9)
                for i, (label, left) in enumerate(frame)
            ]
            step = self.tracker.push(found, [], self.time_ms, lambda _: False)
            for track in step.alive:
                box = track.sights[-1].box
                track.cover(0.9)
                track.at_border = not 8 < box.left < WIDTH - 38
                track.going_out = track.at_border and track.n_sights > 3
            looked = Looked(
                step, WIDTH, HEIGHT, 1.0, changes=list(changes), hidden=hidden, fresh=fresh
            )
            told += self.teller.push(looked)
            changes, fresh = (), False
            self.time_ms += 200.0
        return told


EMPTY = [[]] * 6


def walking(label, *lefts):
    return [[(label, left)] for left in lefts]


def test_a_person_enters_stops_moves_on_and_leaves():
    stage = Stage()
    ways = [*range(0, 200, 20), *[200] * 16, *range(215, 390, 15)]
    told = stage.play(*EMPTY, *walking("person", *ways), *[[]] * 6)
    assert [c.text for c in told] == [
        "A person enters from the left.", "The person stops.",
        "The person moves to the right.", "The person leaves to the right.",
    ]  # fmt: skip
    assert len({c.happening.track for c in told}) == 1


def test_who_was_there_before_is_not_said_to_enter():
    stage = Stage()
    assert stage.play(*walking("vehicle", *[150] * 20)) == []
    told = stage.play(*walking("vehicle", *range(160, 390, 15)), *[[]] * 6)
    assert [c.text for c in told] == [
        "A vehicle that was there moves to the right.", "The vehicle leaves to the right.",
    ]  # fmt: skip


def test_a_second_one_is_another_and_one_of_two_is_one_of_them():
    stage = Stage()
    first = list(range(0, 120, 20))
    stage.play(*EMPTY, *walking("person", *first))
    both = [[("person", 120), ("person", left)] for left in range(370, 250, -20)]
    told = stage.play(*both, *[[("person", 120), ("person", 270)]] * 6)
    assert "Another person enters from the right." in [c.text for c in told]
    told = stage.play(*[[("person", left), ("person", 270)] for left in range(105, -30, -15)],
                      *[[], []] * 4)  # fmt: skip
    assert any(c.text.startswith("One of the people leaves") for c in told)


def test_many_at_once_are_told_together():
    stage = Stage()
    crowd = [[("person", left)] * 3 for left in range(0, 120, 20)]
    told = stage.play(*EMPTY, *crowd)
    assert [c.text for c in told] == ["Three people enter from the left."]
    assert told[0].happening.count == 3


@pytest.mark.parametrize(
    ("chattiness", "label", "kinds"),
    [(0.0, "person", ["enters", "leaves"]), (0.0, "animal", []),
     (0.3, "animal", ["enters", "leaves"]),
     (0.5, "animal", ["enters", "stops", "moves", "leaves"])],
)  # fmt: skip
def test_chattiness_chooses_the_kinds(chattiness, label, kinds):
    ways = [*range(0, 200, 20), *[200] * 16, *range(215, 390, 15)]
    told = Stage(chattiness).play(*EMPTY, *walking(label, *ways), *[[]] * 6)
    assert [c.happening.kind for c in told] == kinds


def test_only_what_is_asked_for_is_told_of():
    stage = Stage(only=("vehicle",))
    both = [[("person", left), ("vehicle", left)] for left in range(0, 200, 20)]
    told = stage.play(*EMPTY, *both, changes=[ViewChange(COVERED, 0.0)])
    assert [c.happening.label for c in told] == ["vehicle"]


def test_zones_are_entered_and_left():
    yard = np.array([[0.25, 0], [0.75, 0], [0.75, 1], [0.25, 1]])
    stage = Stage(zones=Zones([("yard", yard)], []))
    told = stage.play(*EMPTY, *walking("person", *range(0, 390, 14)), *[[]] * 6)
    assert [(c.happening.kind, c.happening.zone) for c in told] == [
        ("enters", None), ("enters", "yard"), ("leaves", "yard"), ("leaves", None),
    ]  # fmt: skip
    assert told[1].text == "The person enters the yard."


def test_who_stands_for_long_is_told_to_stay():
    stage = Stage()
    stage.play(*EMPTY, *walking("person", *range(0, 200, 20)))
    told = stage.play(*walking("person", *[200] * 320))
    assert [c.happening.kind for c in told] == ["stops", "stays"]
    assert told[1].text == "The person has been there for a minute."


def test_nothing_is_told_of_anybody_while_the_lens_is_covered():
    stage = Stage()
    stage.play(*EMPTY, *walking("person", *range(0, 200, 20)))
    assert stage.play(*walking("person", *[200] * 400), hidden=True) == []


def test_who_stands_does_not_move_when_the_camera_does():
    stage = Stage()
    stage.play(*EMPTY, *walking("person", *range(0, 200, 20), *[200] * 16))
    assert stage.play(*walking("person", 130), fresh=True) == []
    assert stage.play(*walking("person", *[131, 130, 129] * 8)) == []


def test_who_left_while_much_happened_is_still_the_one_that_came():
    stage = Stage()
    ways = walking("person", *range(0, 400, 30))
    stage.play(*EMPTY, *ways)
    stage.teller._recent.extend([stage.time_ms] * 6)
    told = stage.play(*[[]] * 12)
    assert [c.text for c in told] == ["The person leaves to the right."]


def test_no_story_outlives_its_track():
    stage = Stage()
    for _ in range(20):
        stage.play(*walking("person", *range(0, 370, 25)), *[[]] * 25)
    assert not stage.teller._stories
    assert not stage.teller._told


@pytest.mark.parametrize("name", ["one_320.mp4", "bottle_320.mp4"])
def test_real_cameras_are_told_rightly(name):
    """F1 of kind and side or direction within 1.5 s, against times made by hand."""
    if not (CLIPS / name).is_file():
        pytest.skip("no real clips here")
    truth = [
        (at, kind, where[0] if where else None)
        for at, kind, *where in json.loads((CLIPS / "truth.json").read_text())[name]
    ]
    told = [e for e in es.watch(CLIPS / name, fast=True) if isinstance(e, Comment)]
    left = list(truth)
    for comment in told:
        h = comment.happening
        fits = [t for t in left if (t[1], t[2]) == (h.kind, h.side or h.direction)
                and abs(t[0] - comment.start_ms / 1000) <= 1.5]  # fmt: skip
        if fits:
            left.remove(fits[0])
    right = len(truth) - len(left)
    assert 2 * right / (len(truth) + len(told)) >= 0.85


SUBJECT = (
    r"(?:(?:A|An|Another) (?:\w+ )?(?:person|bicycle|vehicle|animal)|Something(?: else)?(?: \w+)?"
    r"|The (?:person|bicycle|vehicle|animal|(?:\w+ )?thing)"
    r"|One of the (?:people|bicycles|vehicles|animals|things))(?: that was there)?"
)
MANY = r"(?:(?:About )?\w+ (?:people|bicycles|vehicles|animals)|Several things)"
DEED = (
    r"(?:enters?(?: from the (?:left|right|top|bottom))?|comes? into view|stops?|(?:is|are) out of"
    r" sight|leaves?(?: to the left| to the right| at the top| at the bottom)"
    r"|moves? (?:to the left|to the right|away|closer)|has been there for [\w ]+)"
)
SENTENCE = re.compile(rf"(?:{SUBJECT}|{MANY}) {DEED}\.")
STEPS = st.lists(st.integers(-35, 35), min_size=4, max_size=30)
WAY = st.builds(
    lambda start, steps: list(itertools.accumulate(steps, initial=start)),
    st.sampled_from([-20, 100, 200, 390]), STEPS,
)  # fmt: skip
ACTORS = st.lists(
    st.tuples(st.sampled_from(["person", "vehicle", "animal"]), st.integers(0, 30), WAY),
    max_size=4,
)


@given(ACTORS)
@settings(max_examples=60, deadline=None)
def test_whatever_happens_sentences_are_whole_and_speak_of_what_was_introduced(actors):
    """Actors come at any time, go to and fro, and are away and there again."""
    stage, introduced = Stage(), set()
    for turn in range(70):
        frame = [
            (label, way[turn - begin])
            for label, begin, way in actors
            if 0 <= turn - begin < len(way)
        ]
        for comment in stage.play(frame):
            assert SENTENCE.fullmatch(comment.text), comment.text
            label = comment.happening.label
            if comment.text.startswith(("The", "One of")):
                assert label in introduced
            introduced.add(label)
