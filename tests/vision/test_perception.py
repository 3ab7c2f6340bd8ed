# SPDX-License-Identifier: Apache-2.0
"""Perception, stage by stage: boxes, contrast, background, detector, tracks, the whole view."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from edgestream.errors import ModelError
from edgestream.library.folders import shipped
from edgestream.vision.perception import view
from edgestream.vision.perception.background import Background
from edgestream.vision.perception.boxes import Box, apart, inside, iou, touched, union
from edgestream.vision.perception.camera_motion import camera_motion
from edgestream.vision.perception.colour import main_colour
from edgestream.vision.perception.contrast import MAX_GAIN, Contrast
from edgestream.vision.perception.detector import Detection, Detector, DetectorWeights
from edgestream.vision.perception.track import travelled
from edgestream.vision.perception.tracker import MAX_TRACKS, Tracker
from edgestream.vision.perception.view import View

HEIGHT, WIDTH = 120, 200


def place(seed=0, height=HEIGHT, width=WIDTH):
    """A wall with stains of all sizes, uint8 [height, width, 3]."""
    random = np.random.default_rng(seed)
    wall = np.zeros((height, width, 3), np.float32)
    for cells in (4, 10, 30):
        stains = random.uniform(0, 1, (cells, cells, 3)).astype(np.float32)
        wall += cv2.resize(stains, (width, height), interpolation=cv2.INTER_CUBIC)
    bricks = random.uniform(-0.4, 0.4, (height // 6, width // 10, 1)).astype(np.float32)
    wall += cv2.resize(bricks, (width, height), interpolation=cv2.INTER_NEAREST)[..., None]
    return np.uint8(np.clip(255 * (wall - 0.5) / 2.2, 0, 255))


def noisy(rgb, seed, level=3.0):
    """As a camera takes it."""
    random = np.random.default_rng(seed)
    return np.uint8(np.clip(rgb + random.normal(0, level, rgb.shape), 0, 255))


def test_boxes_overlap_as_areas_do():
    one, other = Box(0, 0, 10, 10), Box(5, 0, 15, 10)
    assert iou(one, other) == pytest.approx(1 / 3)
    assert inside(one, other) == 0.5
    assert union(one, other) == Box(0, 0, 15, 10)
    assert apart(one, other) == pytest.approx(0.5)
    assert iou(one, Box(20, 0, 30, 10)) == inside(Box(3, 3, 3, 9), one) == 0.0
    assert touched(Box(0, 5, 50, 99), 100, 100) == ["left", "bottom"]


def test_a_way_is_one_that_both_edges_go():
    """Who turns around gets wider and goes nowhere; an edge at the border says nothing."""
    assert travelled(Box(40, 20, 60, 80), Box(35, 20, 65, 80), 100, 100).tolist() == [0, 0]
    assert travelled(Box(40, 20, 60, 80), Box(50, 20, 72, 80), 100, 100).tolist() == [10, 0]
    assert travelled(Box(70, 20, 100, 80), Box(80, 20, 100, 80), 100, 100).tolist() == [10, 0]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((200, 30, 30), "red"), ((30, 90, 200), "blue"), ((128, 128, 128), "grey"),
     ((20, 20, 24), "black"), ((240, 240, 236), "white"), ((110, 70, 30), "brown")],
)  # fmt: skip
def test_a_main_colour_has_its_name(rgb, name):
    assert main_colour(np.full((40, 30, 3), rgb, np.uint8)) == name


def test_no_colour_is_told_where_none_is_the_main_one():
    quarters = np.zeros((40, 40, 3), np.uint8)
    quarters[:20, :20], quarters[:20, 20:] = (200, 30, 30), (30, 90, 200)
    quarters[20:, :20], quarters[20:, 20:] = (240, 240, 240), (40, 160, 60)
    assert main_colour(quarters) == ""


def test_contrast_lifts_a_dark_picture_within_its_bound_and_leaves_a_good_one():
    contrast, wall = Contrast(), place()
    wall[:30, :40], wall[-30:, -40:] = 0, 255
    contrast.push(wall)
    assert np.array_equal(contrast.apply(wall), wall)
    contrast.reset()
    dark = np.uint8(wall * 0.1)
    contrast.push(dark)
    assert 4 < contrast.gain <= MAX_GAIN
    assert contrast.apply(dark).std() > 4 * dark.std()


def test_contrast_keeps_its_line_until_the_light_is_another_one():
    contrast, wall = Contrast(), np.uint8(place() * 0.3)
    contrast.push(wall)
    gain = contrast.gain
    shirt = wall.copy()
    shirt[20:60, 20:60] = 250
    assert not any(contrast.push(shirt) for _ in range(10))
    assert contrast.gain == gain
    assert sum(contrast.push(np.uint8(wall * 0.3)) for _ in range(40)) == 1
    assert contrast.gain > 2 * gain


def test_the_background_shows_what_came_and_not_noise_nor_another_exposure():
    background, wall = Background(), np.uint8(20 + place() * 0.75)
    for i in range(12):
        blobs = background.push(noisy(wall, i), 1.0, [])
    assert blobs == []
    assert background.push(noisy(wall * 1.12 + 3, 50), 1.0, []) == []
    came = wall.copy()
    came[40:80, 100:130] = (250, 250, 40)
    (blob,) = background.push(noisy(came, 51), 1.0, [])
    assert iou(blob.box, Box(100, 40, 130, 80)) > 0.7
    assert background.covered(blob.box) > 0.8


def test_what_is_followed_is_not_learned():
    background, wall = Background(), place()
    for i in range(12):
        background.push(noisy(wall, i), 1.0, [])
    came, box = wall.copy(), Box(100, 40, 130, 80)
    came[40:80, 100:130] = (250, 250, 40)
    for i in range(200):
        background.push(noisy(came, i), 1.0, [box])
    assert background.covered(box) > 0.8


@pytest.fixture(scope="module")
def weights():
    return DetectorWeights(shipped()["nano-watch"] / "detector.onnx")


def test_the_detector_finds_nothing_on_a_wall_and_takes_any_shape(weights):
    detector = Detector(weights, min_score=0.3)
    assert detector.push(place()) == []
    assert detector.push(np.zeros((1, 900, 3), np.uint8)) == []
    assert detector.push(np.zeros((700, 2, 3), np.uint8)) == []


def test_a_graph_that_is_no_detector_is_one_line(tmp_path):
    shutil.copy(shipped()["tiny-watch"] / "encoder.onnx", tmp_path / "x.onnx")
    with pytest.raises(ModelError, match=r"x\.onnx: a detector takes one square picture"):
        DetectorWeights(tmp_path / "x.onnx")
    (tmp_path / "y.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"y\.onnx: onnxruntime cannot load it"):
        DetectorWeights(tmp_path / "y.onnx")


def person(left, score=0.9, top=40.0):
    """A person of 20 x 60 somewhere."""
    return Detection(Box(left, top, left + 20, top + 60), "person", score)


def walk(tracker, lefts, *, start=0, score=0.9):
    """One person's ways, five pictures a second; the last step."""
    for i, left in enumerate(lefts):
        found = [] if left is None else [person(left, score)]
        step = tracker.push(found, [], 200.0 * (start + i), lambda _: False)
    return step


def test_a_track_keeps_its_number_through_missed_and_unsure_detections():
    tracker = Tracker()
    step = walk(tracker, [10, 20, 30, None, 50, None, None, 80])
    assert [t.number for t in step.alive] == [1]
    tracker.push([person(90, 0.25)], [], 1600.0, lambda _: False)
    assert tracker.tracks[0].seen_ms == 1600.0
    assert tracker.tracks[0].label == "person"


def test_an_unsure_detection_begins_nothing():
    assert walk(Tracker(), [10, 20, 30], score=0.3).alive == []


def test_who_vanishes_in_the_middle_may_come_back_as_the_same():
    tracker = Tracker()
    walk(tracker, [10, 20, 30, 40])
    gone = walk(tracker, [None] * 10, start=4)
    assert (gone.alive, [t.number for t in gone.hidden], gone.ended) == ([], [1], [])
    back = walk(tracker, [55, 60], start=14)
    assert [t.number for t in back.alive] == [1]


def test_who_does_not_come_back_ends_once():
    tracker, ended = Tracker(), []
    walk(tracker, [10, 20, 30, 40])
    for i in range(4, 40):
        ended += tracker.push([], [], 200.0 * i, lambda _: False).ended
    assert [t.number for t in ended] == [1]
    assert not tracker.tracks
    assert not tracker.hidden


def test_tracks_alive_are_bounded():
    tracker = Tracker()
    for i in range(60):
        crowd = [person(25.0 * n, top=70.0 * (i % 9)) for n in range(40)]
        tracker.push(crowd, [], 200.0 * i, lambda _: False)
        assert len(tracker.tracks) <= MAX_TRACKS
    assert all(len(track.sights) <= 16 for track in tracker.tracks)


def grey(rgb):
    return cv2.cvtColor(cv2.resize(rgb, (160, 96)), cv2.COLOR_RGB2GRAY)


def test_a_moved_camera_is_told_from_a_thing_that_moves():
    wide = place(1, 160, 300)
    before, after = wide[20:140, 40:240], wide[20:140, 52:252]
    motion = camera_motion(grey(before), grey(after))
    assert motion is not None
    assert motion.x == pytest.approx(-12 / 200, abs=0.01)
    thing = before.copy()
    thing[30:90, 60:110] = place(9)[30:90, 60:110]
    still = camera_motion(grey(before), grey(thing))
    assert still is None or max(abs(still.x), abs(still.y)) < 0.004


def told_of(pictures):
    """The kinds that a view tells of pictures, five a second."""
    watched = View()
    return [c for i, rgb in enumerate(pictures) for c in watched.push(noisy(rgb, i), 200.0 * i)]


def after_rest(*parts):
    """Ten pictures of rest before each part, and after the last."""
    rest = [place()] * 10
    return [*rest, *(picture for part in parts for picture in part)]


WALL = place()
COVER = np.full_like(WALL, 60)


@pytest.mark.parametrize(
    ("pictures", "kinds"),
    [
        (after_rest([np.uint8(WALL * 0.3)] * 8, [WALL] * 8), [view.LIGHT_OFF, view.LIGHT_ON]),
        (after_rest([COVER] * 8, [WALL] * 8), [view.COVERED, view.CLEAR]),
        (after_rest([np.uint8(WALL * 0.06)] * 40), [view.LIGHT_OFF]),
        ([WALL * 0] * 10 + [WALL] * 40, [view.LIGHT_ON]),
        (after_rest([cv2.GaussianBlur(place(7), (0, 0), 5)] * 40), [view.CUT]),
        (after_rest([np.uint8(WALL * 0.03)] * 8, [WALL] * 8), [view.COVERED, view.CLEAR]),
        (after_rest([place(7)] * 8), [view.CUT]),
        (after_rest([np.uint8(WALL.mean(2, keepdims=True).repeat(3, 2))] * 8),
         [view.INFRARED_ON]),
        (after_rest([cv2.GaussianBlur(WALL, (0, 0), 7)] * 12), [view.BLURRED]),
        ([WALL] * 60, []),
        ([np.uint8(WALL * (0.4 + 0.6 * min(1.0, i / 200))) for i in range(220)],
         [view.BRIGHTER]),
    ],
    ids=[
        "light", "covered", "dark room", "from black", "cut to a smooth one", "dark cover", "cut",
        "infrared", "focus", "rest", "dawn",
    ],
)  # fmt: skip
def test_what_happens_to_the_view_is_told_by_its_kind(pictures, kinds):
    told = [change.kind for change in told_of(pictures)]
    assert told[: len(kinds)] == kinds
    assert len(told) == len(kinds)


def test_a_cover_that_is_taken_away_slowly_is_told_to_be_away_too():
    part = [cv2.addWeighted(WALL, i / 40, COVER, 1 - i / 40, 0) for i in range(41)]
    slowly = [picture for picture in part for _ in range(2)]
    told = [change.kind for change in told_of(after_rest([COVER] * 10, slowly))]
    assert told == [view.COVERED, view.CLEAR]


def window(wide, left, top=20):
    return wide[top : top + 120, left : left + 200]


def test_a_camera_that_turns_says_where_to_and_one_that_shakes_that_it_does():
    wide = place(3, 160, 400)
    turned = [window(wide, 40)] * 8 + [window(wide, 40 + 8 * i) for i in range(6)]
    (move,) = told_of([*turned, *[window(wide, 80)] * 8])
    assert (move.kind, move.direction) == (view.CAMERA_MOVES, "right")
    shaken = [window(wide, 60 + 6 * (-1) ** i) for i in range(10)]
    kinds = {change.kind for change in told_of([window(wide, 60)] * 8 + shaken)}
    assert view.SHAKES in kinds
    zoomed = [
        cv2.resize(wide[2 * i : 160 - 2 * i, 5 * i : 400 - 5 * i], (200, 120)) for i in range(10)
    ]
    assert view.ZOOMS in {change.kind for change in told_of([zoomed[0]] * 6 + zoomed)}
