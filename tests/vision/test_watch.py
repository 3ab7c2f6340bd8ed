# SPDX-License-Identifier: Apache-2.0
"""The commentator: the streaming law, gaps, what is said twice; wrong pictures and wrong models."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools

import numpy as np
import pytest
from drawn_scene import scene, write_scene
from hypothesis import given, settings
from hypothesis import strategies as st

import edgestream as es
from edgestream.errors import ModelError, SourceError, UsageError
from edgestream.events import Comment, Gap
from edgestream.sources.picture import Picture
from edgestream.vision.chattiness import Chattiness, Novelty
from edgestream.vision.gates import Linger
from edgestream.vision.zones import Zones

STORY = ["enters from the left", "stops", "moves to the right", "leaves to the right"]


@pytest.fixture(scope="module")
def model():
    return es.load_watcher("tiny-watch")


@pytest.fixture(scope="module")
def pictures():
    return list(scene())


@pytest.fixture(scope="module")
def whole(model, pictures):
    stream = model.stream()
    return stream.push(pictures) + stream.finish()


def test_the_story_is_told_in_order_with_the_times_of_its_pictures(whole, pictures) -> None:
    assert [comment.text.split("thing ")[1] for comment in whole] == STORY
    assert all("red thing" in comment.text for comment in whole)
    assert {comment.picture_ms for comment in whole} <= {p.time_ms for p in pictures}
    assert all(comment.start_ms == comment.picture_ms < comment.end_ms for comment in whole)
    assert 2000 < whole[0].picture_ms < 4500


@given(st.lists(st.integers(1, 236), max_size=12))
@settings(max_examples=15)
def test_any_cutting_of_the_pictures_gives_the_same_comments(model, pictures, whole, cuts) -> None:
    stream = model.stream()
    edges = [0, *sorted(cuts), len(pictures)]
    events = []
    for begin, end in itertools.pairwise(edges):
        events += stream.push(pictures[begin:end])
    assert events + stream.finish() == whole


def test_comments_on_a_prefix_are_a_prefix(model, pictures, whole) -> None:
    stream = model.stream()
    some = stream.push(pictures[:150])
    assert 0 < len(some) < len(whole)
    assert some == whole[: len(some)]
    stream.reset()
    assert stream.push(pictures) + stream.finish() == whole


def test_streams_of_one_model_do_not_disturb_each_other(model, pictures, whole) -> None:
    one, other = model.stream(), model.stream()
    told = []
    for picture in pictures:
        told += one.push(picture)
        other.push(Picture(255 - picture.rgb, picture.time_ms))
    assert told == whole


def test_nothing_is_said_of_a_still_noisy_scene_and_little_is_computed(model) -> None:
    stream = model.stream(chattiness=0.5)
    assert stream.push(scene(None, seconds=60, fps=5)) == []
    assert stream.counts.pictures == 300
    assert stream.counts.dropped_before > 0.9


def test_after_a_gap_the_next_picture_is_a_first_one(model) -> None:
    stream = model.stream()
    stream.push(scene(None, seconds=10, fps=5, seed=1))
    gap = Gap(10_000.0, 30_000.0, "camera lost")
    assert stream.take(gap) == [gap]
    assert stream.heard_ms == 30_000
    other_place = scene(None, seconds=10, fps=5, seed=2)  # without the gap, the camera moved
    assert stream.push(Picture(p.rgb, p.time_ms + 30_000) for p in other_place) == []


@given(st.integers(0, 236))
@settings(max_examples=8)
def test_what_follows_a_gap_is_what_a_fresh_stream_says(model, pictures, at) -> None:
    stream, later_ms = model.stream(), 60_000.0
    stream.push(pictures[:at])
    after = [Picture(p.rgb, p.time_ms + later_ms) for p in pictures]
    stream.lose(Gap(stream.heard_ms, after[0].time_ms, "camera lost"))
    assert stream.push(after) == model.stream().push(after)


def test_staleness_is_counted_on_the_clock_of_the_pictures(model, pictures, whole) -> None:
    now_ms = 0.0
    stream = model.stream(now_ms=lambda: now_ms)
    events = []
    for picture in pictures:
        now_ms = picture.time_ms + 70
        events += stream.push(picture)
    assert [event.staleness_ms for event in events] == pytest.approx([70] * len(whole))
    assert [dataclasses.replace(event, staleness_ms=0.0) for event in events] == whole


@pytest.mark.parametrize(
    "rgb",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32),
     np.zeros((0, 4, 3), np.uint8), [[[1, 2, 3]]], None],
)  # fmt: skip
def test_a_wrong_picture_is_refused_and_the_stream_lives(model, rgb) -> None:
    stream = model.stream()
    with pytest.raises(UsageError, match="picture"):
        stream.push(Picture(rgb, 0.0))
    assert stream.push(Picture(np.zeros((1, 1, 3), np.uint8), 0.0)) == []


@pytest.mark.parametrize("time_ms", [-1.0, 99.0, float("nan")])
def test_times_must_rise(model, time_ms) -> None:
    stream = model.stream()
    stream.push(Picture(np.zeros((8, 8, 3), np.uint8), 100.0))
    with pytest.raises(UsageError, match="times must rise"):
        stream.push(Picture(np.zeros((8, 8, 3), np.uint8), time_ms))
    stream.finish()
    with pytest.raises(UsageError, match="reset"):
        stream.push(Picture(np.zeros((8, 8, 3), np.uint8), 200.0))


def test_pictures_of_any_size_are_taken(model) -> None:
    stream = model.stream()
    sizes = [(1, 1), (6000, 8000), (1, 900), (48, 64)]
    for turn, (height, width) in enumerate(sizes):
        stream.push(Picture(np.zeros((height, width, 3), np.uint8), 200.0 * turn))
    assert stream.counts.pictures == len(sizes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt": "be kind"}, "takes no prompt"),
        ({"layout": "group"}, "takes no layout"),
        ({"chattiness": 1.01}, "between 0 and 1"),
        ({"chattiness": float("nan")}, "between 0 and 1"),
        ({"zones": Zones([], [])}, "takes no zones"),
        ({"only": ("person",)}, "takes no only"),
        ({"fps": 0.0}, "fps is 0"),
        ({"fps": 0.0, "keep_up": True}, "fps is 0"),
    ],
)
def test_a_wrong_option_is_one_line(model, options, said) -> None:
    with pytest.raises(UsageError, match=said):
        model.stream(**options)


# When to speak.


def test_chattiness_moves_silence_and_memory_one_way() -> None:
    values = [Chattiness(value / 10) for value in range(11)]
    assert [v.silence_bias for v in values] == sorted(v.silence_bias for v in values)
    assert [v.memory_ms for v in values] == sorted((v.memory_ms for v in values), reverse=True)
    assert values[5].silence_bias == 0


def test_a_quiet_one_says_less(model, pictures, whole) -> None:
    quiet = [e.text for e in model.stream(chattiness=0.0).push(pictures)]
    assert len(quiet) <= len(whole)
    chatty = model.stream(chattiness=1.0).push(pictures)
    assert len(chatty) >= len(whole)


texts = st.sampled_from(["a b c", "A b c", "c b a", "a b d", "d e", ""])


@given(st.lists(st.tuples(texts, st.floats(0, 900)), max_size=20), st.floats(0, 3000))
def test_nothing_alike_is_said_twice_within_the_memory(said, memory_ms) -> None:
    novelty, time_ms, told = Novelty(memory_ms, max_alike=0.6), 0.0, []
    for text, passed_ms in said:
        time_ms += passed_ms
        words = sorted(text.lower().split())
        alike = [
            then_ms for then, then_ms in told
            if time_ms - then_ms < memory_ms
            and 2 * sum(w in then for w in words) >= 0.6 * (len(words) + len(then))
        ]  # fmt: skip
        assert novelty.push(text, time_ms) == (not alike)
        if not alike:
            told.append((words, time_ms))


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 500)), max_size=30), st.floats(0, 2000))
def test_what_follows_a_change_is_kept_as_well(seen, linger_ms) -> None:
    linger, time_ms, changes = Linger(linger_ms), 0.0, []
    for changed, passed_ms in seen:
        time_ms += passed_ms
        changes += [time_ms] if changed else []
        wanted = bool(changes) and time_ms - changes[-1] <= linger_ms
        assert linger.push(changed, time_ms) == wanted


def test_slow_drift_is_seen(model) -> None:
    stages = model.stream().commentator
    grey, kept = np.full((48, 64, 3), 0.3), []
    for turn in range(600):  # each step far below the threshold
        rgb = np.round(255 * (grey + turn * 0.0005)).astype(np.uint8)
        changed = stages.picture_gate.push(rgb).share > 0
        kept.append(stages.picture_linger.push(changed, 200.0 * turn))
    assert kept[0]
    assert any(kept[20:])
    assert not all(kept)


# Sources and models.


def test_a_file_read_twice_says_the_same(tmp_path, model, whole) -> None:
    path = write_scene(tmp_path / "scene.avi")
    first, second = (list(es.watch(path, fast=True, model=model)) for _ in range(2))
    assert first == second
    assert [e.text for e in first] == [e.text for e in whole]
    session = es.watch(path, fast=True, every_picture=True, model=model)
    assert list(session) == first  # thinned by the stream as the source would


def test_a_file_at_its_own_pace_has_staleness(tmp_path) -> None:
    path = write_scene(tmp_path / "short.mp4", codec="mp4v", seconds=5)
    session = es.watch(path)
    comments = [event for event in session if isinstance(event, Comment)]
    assert comments
    assert all(comment.staleness_ms > 0 for comment in comments)
    assert session.meter.n_lines == len(comments)


def test_a_model_that_hears_does_not_watch_and_the_other_way_round() -> None:
    with pytest.raises(ModelError, match="edgestream listen"):
        es.load_watcher("synthetic-en")
    with pytest.raises(ModelError, match="edgestream watch"):
        es.load("tiny-watch")
    with pytest.raises(SourceError, match="no such file"):
        es.watch("nothing.mp4")


@pytest.fixture
def folder(model, tmp_path):
    """A copy of the model whose model.toml can be changed."""
    for path in model.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("width = 64", "width = 0", "width and height"),
        ("height = 48", "height = 50", "does not run on a chunk"),
        ("picture_ms = 200", "picture_ms = 0", "picture_ms"),
        ("tile_px = 8", "tile_px = 49", "tile_px"),
        ("max_cosine = 0.98", "max_cosine = 2.0", "max_cosine"),
        ("silence = 0", "silence = 1", "two of silence and end"),
        ("window = 96", "window = 0", "decoder.window"),
        ("[tokens]", "[tokens]\nlaugh = 3", "unknown key 'laugh'"),
        ('family = "commentator"', 'family = "concatenated"', "hears, it does not see"),
        ("bos = 2", "bos = 99999", "token 99999 is named"),
    ],
)
def test_a_wrong_manifest_is_one_line(folder, old, new, said) -> None:
    path = folder / "model.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelError, match=said) as error:
        es.load_watcher(folder).stream()
    assert "\n" not in str(error.value)


def test_an_altered_or_swapped_file_is_refused(folder) -> None:
    encoder, manifest = folder / "encoder.onnx", folder / "model.toml"
    good = encoder.read_bytes()
    encoder.write_bytes(good[:-1] + b"\0")
    with pytest.raises(ModelError, match="altered"):
        es.load_watcher(folder)
    listening = (
        es.load("synthetic-en").folder / "encoder.onnx"
    ).read_bytes()  # hears: an honest checksum
    encoder.write_bytes(listening)
    sums = [hashlib.sha256(data).hexdigest() for data in (good, listening)]
    manifest.write_text(manifest.read_text().replace(*sums))
    with pytest.raises(ModelError, match="not those of a streaming encoder"):
        es.load_watcher(folder)
