# SPDX-License-Identifier: Apache-2.0
"""The benchmark of commentary: scenes are what they say, counting and clock are right."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.bench import report
from edgestream.bench.watch import measure as bench_watch
from edgestream.bench.watch import report as watch_report
from edgestream.bench.watch.event_score import EventScore, Happened, most_repeats
from edgestream.bench.watch.glass import (
    QUALITY,
    GlassCamera,
    GlassReader,
    now_ms,
    read_time,
    with_time,
)
from edgestream.bench.watch.runs import comment_on_scenes, watch_file, write_video
from edgestream.bench.watch.scenes import HEIGHT, WIDTH, Span, Visit, scene
from edgestream.bench.watch.stateless import (
    WARM_UP,
    busy_scene,
    compare_with_stateless,
    still_scene,
)
from edgestream.events import Comment, Happening
from edgestream.sources.open_pictures import open_pictures
from edgestream.vision.watch import load_watcher

TINY = bench_watch.Plan(
    n_scenes=1, still_minutes=0.2, file_minutes=0.8, live_s=3.0, compute_s=6.0, clip_s=4.0,
    still_cpu_s=2.0,
)  # fmt: skip
KEYS = [
    "fps", "event_f1", "event_f1_pixels", "still_comments", "false_comments_per_10min",
    "glass_to_word_p50_ms", "glass_to_word_p95_ms",
    "rss_mb", "rss_1min_mb", "rss_60min_mb", "tokens_per_s", "dropped_before_encoder",
    "dropped_after_encoder", "circle", "compute_ratio_still", "compute_ratio_busy",
    "machine", "model_sha256", "commit", "date", "not_measured",
]  # fmt: skip
words = st.lists(st.sampled_from("abcde"), max_size=30)


@pytest.fixture(scope="module")
def model():
    return load_watcher("tiny-watch")


@pytest.fixture(scope="module")
def figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench_watch, "QUICK", TINY)
        return bench_watch.measure("nano-watch", None, quick=True)


def comment(kind, start_ms, known_ms=None, **fields):
    happening = Happening(kind, **fields)
    return Comment.of("Something.", known_ms or start_ms, happening, start_ms)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_things_cross_the_edge_when_it_is_said(number):
    made = scene(number)
    assert made.happenings == sorted(made.happenings, key=lambda h: h.visible_ms)
    for visit in (act for act in made.acts if isinstance(act, Visit)):
        said = {h.kind: h.visible_ms for h in visit.happenings()}
        assert not inside(visit.at(said["enters"] - 20))
        assert inside(visit.at(said["enters"] + 20))
        assert inside(visit.at(said["leaves"] - 20))
        assert not inside(visit.at(said["leaves"] + 20))
        if "stops" in said:
            place = visit.at(said["stops"])
            np.testing.assert_allclose(visit.at(said["moves"] - 1), place, atol=1e-6)
            assert np.abs(visit.at(said["moves"] + 200) - place).max() > 0.5


def inside(middle):
    return middle is not None and 0 <= middle[0] < WIDTH and 0 <= middle[1] < HEIGHT


@pytest.mark.parametrize("number", range(4))
def test_a_thing_has_the_colour_and_size_of_its_name_and_stands_out(number):
    made = scene(number)
    for visit in (act for act in made.acts if isinstance(act, Visit)):
        time_ms = visit.start_ms + visit.times_ms[0]
        with_it = made.draw(time_ms, np.random.default_rng(0)).astype(float)
        made.acts.remove(visit)
        without = made.draw(time_ms, np.random.default_rng(0)).astype(float)
        x, y = visit.at(time_ms).astype(int)
        assert np.abs(with_it[y, x] - without[y, x]).max() > 30
        assert np.abs(with_it[y, x] - visit.colour).max() < 30
        changed = (np.abs(with_it - without).max(2) > 25).sum()
        assert 0.3 < changed / cv2.contourArea(np.float32(visit.outline)) < 1.3


def test_dark_covered_and_turned_scenes_look_it():
    wanted = {"dark", "covered", "turned"}
    for number in range(60):
        for span in (act for act in scene(number).acts if isinstance(act, Span)):
            if span.kind in wanted:
                wanted.remove(span.kind)
                before, within = (
                    scene(number).draw(t, np.random.default_rng(0)).astype(float)
                    for t in (span.start_ms - 1, span.end_ms - 1)
                )
                light = within.mean() / before.mean()
                if span.kind == "turned":
                    assert np.abs(within - before).mean() > 8
                else:
                    assert light < (0.45 if span.kind == "dark" else 0.12)
    assert not wanted


def test_scenes_are_repeatable_and_differ():
    one, same, other = (list(scene(n).pictures(5)) for n in (3, 3, 4))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)
    assert any((a.rgb != b.rgb).any() for a, b in zip(one, other, strict=True))
    assert scene(3).happenings == scene(3).happenings
    assert scene(3, still=True).happenings == []


def test_a_comment_is_right_once_in_time_and_in_kind():
    happened = [Happened(1000, "light-off"), Happened(9000, "light-off")]
    score = EventScore()
    score.add(
        [
            comment("light-off", 1400, 2000),
            comment("light-off", 1500),
            comment("light-on", 9000),
            comment("light-off", 10_501),
            Comment.of("The light goes off", 9000),
        ],
        happened,
    )
    assert (score.comments, score.happened, score.right) == (5, 2, 1)
    assert score.late_ms == [1000]  # when it is told, not when it began
    assert (score.f1, score.precision, score.recall) == pytest.approx((2 / 7, 1 / 5, 1 / 2))
    score.add([comment("light-off", 8000)], happened[1:])
    assert score.right == 2
    assert (EventScore().f1, EventScore().precision, EventScore().recall) == (0, 0, 0)


def test_sides_and_directions_count_where_they_are_asked_for():
    told = [
        comment("enters", 0, side="left", label="person"),
        comment("moves", 50, direction="right", label="person"),
        comment("leaves", 90, side="top", label="animal"),
    ]
    score = EventScore()
    score.add(
        told, [Happened(0, "enters"), Happened(0, "moves", "right"), Happened(0, "leaves", "left")]
    )
    assert score.right == 2
    assert score.classes == {"person": 2, "animal": 1}


def test_the_nearest_comment_is_the_right_one():
    score = EventScore()
    score.add([comment("stops", 100), comment("stops", 900)], [Happened(1000, "stops")])
    assert score.late_ms == [-100]


@given(words, words.filter(bool), st.integers(2, 5), words)
def test_text_that_goes_in_circles_is_counted(before, phrase, times, after):
    assert most_repeats(before + phrase * times + after) >= times


@given(st.integers(0, 200))
def test_text_without_repetition_goes_in_no_circle(n):
    assert most_repeats([str(i) for i in range(n)]) == min(n, 1)


@given(st.floats(0, 1e9), st.floats(0, 4000), st.integers(0, 3))
def test_the_time_in_a_picture_is_read_back(time_ms, age_ms, seed):
    rgb = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", with_time(rgb, time_ms), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert read_time(cv2.imdecode(jpeg, 1), time_ms + age_ms) == pytest.approx(time_ms, abs=2.01)


def test_a_glass_camera_shows_its_scene_with_the_time():
    began_ms, made = now_ms(), scene(0, length_ms=1500)
    with GlassCamera(made) as camera:
        reader = GlassReader(open_pictures(camera.url))
        pictures = list(reader)
        reader.close()
    assert {picture.rgb.shape for picture in pictures} == {(HEIGHT, WIDTH, 3)}
    drawn = [reader.drawn_ms[picture.time_ms] for picture in pictures]
    assert len(drawn) >= 2
    assert drawn == sorted(drawn)
    assert began_ms <= drawn[0] < drawn[-1] <= now_ms()


def test_timing_the_loop_changes_nothing(model):
    run = comment_on_scenes(model, 1)
    stream = model.stream()
    events = stream.push(scene(0).pictures(5, seed=0)) + stream.finish()
    assert run.score.comments == len(events) > 0
    assert run.counts == stream.counts
    assert run.tokens_per_s > 0


def test_a_file_is_watched_by_the_command(model, tmp_path):
    happenings = write_video(tmp_path / "scenes.avi", 0.8)
    watched = watch_file(model.folder, tmp_path / "scenes.avi")
    assert [h.visible_ms for h in happenings][-1] > 24_000
    assert len(watched.comments) > 2
    assert [c.picture_ms for c in watched.comments][-1] > 20_000
    if sys.platform == "linux":
        assert watched.readings[0].rss_mb > 20


def test_json_has_its_keys_and_sane_values(figures, tmp_path):
    report.write_json(figures, tmp_path / "figures.json")
    found = json.loads((tmp_path / "figures.json").read_text())
    assert not set(KEYS) - set(found)
    assert found["fps"] > 0
    assert 0 <= found["event_f1"] <= 1
    assert 0 <= found["dropped_before_encoder"] <= 1
    assert found["comments_right"] <= min(found["comments"], found["events"])
    assert set(found["still_comments"]) == {"nano-watch", "tiny-watch", "blobs"}


def test_the_table_and_the_plot_show_them(figures, capsys, tmp_path):
    watch_report.print_table(figures)
    shown = capsys.readouterr().out
    for label in ("event F1, drawn scenes", "glass to word", "memory, most", "--clips"):
        assert label in shown
    pytest.importorskip("matplotlib")
    watch_report.draw(figures, tmp_path / "figures.png")
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


def test_errors_of_the_command_are_one_line():
    command = [
        sys.executable,
        "-m",
        "edgestream",
        "bench",
        "watch",
        "--quick",
        "-m",
        "synthetic-en",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd="/")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "hears, it does not see" in done.stderr


def test_the_stateless_way_knows_nothing_of_the_picture_before():
    """Reset before each picture, the stages take all of it; as a stream, what is new."""
    figures = compare_with_stateless(8.0)
    for name in ("still", "busy"):
        assert figures[f"compute_{name}"]["pictures"] == 8 - WARM_UP
        assert figures[f"compute_{name}"]["dropped_before"] < 1
    assert figures["compute_ratio_still"] > figures["compute_ratio_busy"] > 1


def test_a_busy_scene_is_busier():
    still, busy = (made(30.0) for made in (still_scene, busy_scene))
    assert len(busy.happenings) > 5 * len(still.happenings)


def test_without_gguf_the_rest_is_measured(monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    found = bench_watch._measure_compute(TINY)
    assert found["compute_ratio_still"] is None
    assert "edgestream[bench]" in found["compute_missing"]
