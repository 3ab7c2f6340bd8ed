# SPDX-License-Identifier: Apache-2.0
"""The benchmark of commentary on real clips: its truth, its peer, its stills, its turns."""

import json
import subprocess
import sys

import numpy as np
import pytest
from drawn_scene import VISIT_S, scene, write_scene
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.bench.watch import real
from edgestream.bench.watch import report as watch_report
from edgestream.bench.watch.blobs import Blobs, border, towards
from edgestream.bench.watch.clips import read_clips
from edgestream.bench.watch.event_score import Happened
from edgestream.bench.watch.lively import darkened, lively, noisy_still
from edgestream.bench.watch.turns import in_turn
from edgestream.errors import SourceError, UsageError
from edgestream.sources.picture import Picture

STORY = [[2.3, "enters", "left"], [4.0, "stops"], [7.0, "moves", "right"], [8.6, "leaves"]]


@pytest.fixture
def folder(tmp_path):
    write_scene(tmp_path / "one.avi", fps=5.0)
    (tmp_path / "truth.json").write_text(json.dumps({"one.avi": STORY}))
    return tmp_path


def pushed(blobs, **options):
    events = [e for picture in scene(fps=5.0, **options) for e in blobs.push(picture)]
    return events + blobs.finish()


def test_clips_are_read_with_their_truth(folder):
    (clip,) = read_clips(folder)
    assert clip.happened[0] == Happened(2300, "enters", "left")
    assert clip.happened[1] == Happened(4000, "stops")
    pictures = list(clip.pictures())
    assert len(pictures) == round(5 * VISIT_S)
    np.testing.assert_array_equal(clip.first, pictures[0].rgb)
    (short,) = read_clips(folder, seconds=3.0)
    assert len(list(short.pictures())) == 15
    assert len(short.happened) == 1


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "names no clips"),
        ("{}", "names no clips"),
        ('{"two.avi": []}', "names two.avi, which is not in"),
        ('{"one.avi": 3}', "has no list of events"),
        ('{"one.avi": [3]}', "event 1 is 3; write"),
        ('{"one.avi": [[1, "enters"], [1, "enters", "left", 2]]}', "event 2 is"),
        ('{"one.avi": [[-1, "enters"]]}', "give seconds from 0 on"),
        ('{"one.avi": [[true, "enters"]]}', "give seconds from 0 on"),
        ('{"one.avi": [[NaN, "enters"]]}', "give seconds from 0 on"),
        ('{"one.avi": [[1' + 400 * "0" + ', "enters"]]}', "give seconds from 0 on"),
        ('{"one.avi": [[1, "enter"]]}', "choose from enters, leaves"),
        ('{"one.avi": [[1, ["enters"]]]}', "choose from enters, leaves"),
        ('{"one.avi": [[1, "enters", "north"]]}', "choose from left, right"),
    ],
)
def test_a_wrong_truth_is_one_line(folder, truth, said):
    (folder / "truth.json").write_text(truth)
    with pytest.raises(UsageError, match=said) as error:
        read_clips(folder)
    assert "truth.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_folder_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        read_clips(tmp_path / "nothing")
    with pytest.raises(UsageError, match=r"has no truth\.json"):
        read_clips(tmp_path)
    (tmp_path / "one.avi").write_text("no video")
    (tmp_path / "truth.json").write_text('{"one.avi": []}')
    with pytest.raises(SourceError, match=r"one\.avi"):
        read_clips(tmp_path)
    command = [sys.executable, "-m", "edgestream", "bench", "watch", "--clips", str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no such folder" in done.stderr


# The plain peer.


def test_blobs_tell_the_story_of_a_drawn_thing():
    told = [(c.happening.kind, c.happening.side or c.happening.direction) for c in pushed(Blobs())]
    assert told == [("enters", "left"), ("stops", None), ("moves", "right"), ("leaves", "right")]


def test_blobs_say_nothing_of_noise_or_of_light_that_changes():
    assert pushed(Blobs(), colour=None, seconds=20) == []
    blobs = Blobs()
    for turn, picture in enumerate(scene(None, seconds=20, fps=5.0)):
        rgb = picture.rgb // (1 + (turn // 40))
        assert blobs.push(Picture(rgb, picture.time_ms)) == []


def test_blobs_begin_again_after_a_reset():
    blobs = Blobs()
    first = pushed(blobs)
    blobs.reset()
    assert pushed(blobs) == first


@given(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.6, 1), st.floats(0.6, 1))
def test_a_box_is_at_the_border_that_it_is_nearest_to(left, top, right, bottom):
    room = {"left": left, "top": top, "right": 1 - right, "bottom": 1 - bottom}
    side = border((left, top, right, bottom))
    assert side is None if min(room.values()) > 0.03 else room[side] == min(room.values())


def test_a_direction_is_that_of_the_larger_part():
    ways = [(2, 1), (-2, 1), (1, 2), (1, -2)]
    assert [towards(np.array(way)) for way in ways] == ["right", "left", "bottom", "top"]


# Stills and darkness.


def photograph(width=96, height=64):
    return next(iter(scene(None, seconds=1, size=(width, height), noise=0.0))).rgb


@settings(max_examples=5)
@given(st.integers(0, 1000))
def test_a_still_lives_a_little_and_is_the_same_for_one_seed(seed):
    first, again, other = (
        [p.rgb for p in lively(photograph(), 5.0, 3.0, s)] for s in (seed, seed, seed + 1)
    )
    assert len(first) == 15
    for one, two, three, before in zip(first[1:], again[1:], other[1:], first, strict=False):
        np.testing.assert_array_equal(one, two)
        assert (one != three).any()
        assert 0 < np.abs(one.astype(float) - before).mean() < 12


def test_a_wide_photograph_is_made_smaller():
    (picture,) = lively(photograph(1280, 720), 5.0, 0.2, 0)
    assert picture.rgb.shape == (360, 640, 3)


def test_dark_pictures_have_a_tenth_of_the_light_and_a_sensors_noise():
    grey = np.full((90, 160, 3), 200, np.uint8)
    for picture in darkened(iter([Picture(grey, 40.0)]), seed=0):
        assert picture.time_ms == 40.0
        assert picture.rgb.mean() == pytest.approx(19.5, abs=0.2)  # cut to whole numbers
        assert picture.rgb.std() == pytest.approx(2.0, abs=0.1)


def test_a_noisy_still_has_noise_only():
    pictures = np.stack([p.rgb for p in noisy_still(photograph(), 5.0, 6.0, 0)]).astype(float)
    assert pictures.std(0).mean() == pytest.approx(3.0, abs=0.2)
    assert np.abs(pictures.mean(0) - photograph()).mean() < 1.5


# Side by side.


class Loud:
    """Says something of every picture, and of the end."""

    def push(self, picture):
        from edgestream.bench.watch.blobs import comment

        return [comment("stops", None, picture.time_ms, picture.time_ms)]

    def finish(self):
        return self.push(Picture(np.zeros((1, 1, 3), np.uint8), 9e9))

    def reset(self):
        """Nothing to forget."""


def test_each_has_its_turn_with_each_picture():
    turns = in_turn({"loud": Loud(), "blobs": Blobs()}, scene(fps=5.0))
    n = round(5 * VISIT_S)
    assert [t.pictures for t in turns.values()] == [n, n]
    assert len(turns["loud"].comments) == n + 1
    assert turns["blobs"].comments == pushed(Blobs())


def test_clips_are_scored_for_each_and_shown(folder, capsys):
    streams, clips = {"loud": Loud(), "blobs": Blobs()}, read_clips(folder)
    figures = real.watch_clips(streams, clips)
    assert figures["blobs"]["as_is"]["f1"] == 1.0
    assert figures["blobs"]["as_is"]["false_per_minute"] == 0.0
    assert 300 < figures["blobs"]["as_is"]["late_p50_ms"] < 2000
    assert figures["loud"]["as_is"]["recall"] == 0.25
    assert figures["loud"]["as_is"]["false_per_minute"] == pytest.approx(300, rel=0.03)
    assert figures["blobs"]["core_share_busy"] > 0
    assert figures["blobs"]["dark"]["comments"] <= 4
    shares = real.still_core_shares(streams, clips, 2.0)
    for name, each in figures.items():
        each["core_share_still"] = shares[name]
    shown = {
        "clips": {"names": ["one.avi"], "watchers": figures},
        "still_minutes": 0.1, "still_comments": real.count_still_comments(streams, clips, 0.1),
    }  # fmt: skip
    assert shown["still_comments"] == {"loud": 31, "blobs": 0}
    watch_report.print_side_by_side(shown)
    out = capsys.readouterr().out
    for label in ("event F1", "10 % of the light", "one.avi", "still minutes of photographs"):
        assert label in " ".join(out.replace("│", " ").split())


def test_comments_where_nothing_happens_are_counted_on_drawn_scenes_too():
    assert real.count_still_comments({"loud": Loud()}, [], 0.1) == {"loud": 31}


def test_the_three_are_compared_by_name():
    from edgestream.vision.watch import load_watcher

    assert list(real.watchers(load_watcher())) == ["nano-watch", "tiny-watch", "blobs"]
    assert list(real.watchers(load_watcher("tiny-watch"))) == ["tiny-watch", "blobs"]
