# SPDX-License-Identifier: Apache-2.0
"""The benchmark measures what it says: alignment, latency on a known stream, keys of the JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from edgestream.bench import report
from edgestream.bench.listen import measure as bench_listen
from edgestream.bench.listen.probe import Probe, count_words, run_long
from edgestream.bench.listen.sounds import KINDS, LEVELS_DBFS, SEGMENT_S, sound
from edgestream.bench.machine import one_core
from edgestream.bench.process import Memory, Reading, feed, startup_s
from edgestream.errors import OperationError, OutputError, SourceError, UsageError
from edgestream.scoring.captioned import score_clips, total
from edgestream.scoring.clips import (
    BLOCK_SAMPLES,
    BUNDLED,
    PAUSE_MS,
    RATE_HZ,
    blocks,
    long_stream,
    read_clips,
)
from edgestream.scoring.words import Score, align, spoken_words
from edgestream.speech.concatenated.model import load

ROOT = Path(__file__).resolve().parents[2]
TINY = bench_listen.Plan(
    startups=1, stream_minutes=0.3, sound_minutes=0.05, joined_minutes=0.3, clips=3
)
KEYS = [
    "rtf", "step_p50_ms", "step_p95_ms", "step_p99_ms", "emission_p50_ms", "emission_p95_ms",
    "delay_ms", "startup_s", "rss_mb", "wer", "nonspeech_words_per_hour",
    "emission_with_compute_p50_ms", "rss_1min_mb", "rss_30min_mb", "machine", "model_sha256",
    "commit", "date", "not_measured",
]  # fmt: skip
texts = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12)


@pytest.fixture(scope="module")
def clips():
    return read_clips(BUNDLED)


@pytest.fixture(scope="module")
def model():
    return load("synthetic-en")


@pytest.fixture(scope="module")
def figures():
    return bench_listen.measure("synthetic-en", None, [], TINY)


def run(*args):
    command = [sys.executable, "-m", "edgestream", "bench", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd="/")


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_word_errors_are_those_of_jiwer(pairs):
    pairs = [(reference, hypothesis) for reference, hypothesis in pairs if reference]
    score = Score()
    for reference, hypothesis in pairs:
        score.add(reference, hypothesis)
    if pairs:
        known = jiwer.wer([" ".join(r) for r, _ in pairs], [" ".join(h) for _, h in pairs])
        assert score.wer == pytest.approx(known)


@given(texts, texts)
def test_an_alignment_takes_every_word_once_and_in_order(reference, hypothesis):
    pairs = align(reference, hypothesis)
    assert [i for i, _ in pairs if i is not None] == list(range(len(reference)))
    assert [j for _, j in pairs if j is not None] == list(range(len(hypothesis)))


def test_words_are_compared_without_case_and_punctuation():
    assert spoken_words("I'm here, aren't I? 'Yes.'") == ["i'm", "here", "aren't", "i", "yes"]


def test_a_stream_of_speech_has_every_clip_where_it_says(clips):
    heard, said = [], []
    for piece, words in long_stream(clips, 1.0):
        assert len(piece) % BLOCK_SAMPLES == 0
        heard.append(piece)
        said += words
    stream = np.concatenate(heard)
    assert len(stream) >= 60 * RATE_HZ
    ends_ms = [word.end_ms for word in said if word.end_ms is not None]
    assert ends_ms == sorted(ends_ms)
    first = next(clip for clip in clips if spoken_words(clip.text)[0] == said[0].text)
    np.testing.assert_array_equal(stream[: len(first.samples)], first.samples)
    pause_samples = int(PAUSE_MS[0] * RATE_HZ / 1000)
    assert not stream[len(first.samples) : len(first.samples) + pause_samples].any()


def test_all_clips_come_before_any_comes_again(clips):
    stream = long_stream(clips, 2.0)
    first = [tuple(w.text for w in next(stream)[1]) for _ in clips]
    assert sorted(first) == sorted(tuple(spoken_words(clip.text)) for clip in clips)


@pytest.mark.parametrize("kind", KINDS)
def test_sounds_have_their_length_and_level_and_are_repeatable(kind):
    minutes = 2.5 * SEGMENT_S / 60
    segments = list(sound(kind, minutes))
    assert sum(map(len, segments)) == round(minutes * 60 * RATE_HZ)
    for segment, again in zip(segments, sound(kind, minutes), strict=True):
        np.testing.assert_array_equal(segment, again)
    level_dbfs = 10 * np.log10(np.mean(segments[0].astype(float) ** 2) + 1e-30)
    assert level_dbfs == pytest.approx(-300 if kind == "silence" else LEVELS_DBFS[0], abs=0.5)


def test_a_probe_changes_nothing_and_sees_every_step(model, clips):
    samples = np.concatenate([clips[0].samples, np.zeros(RATE_HZ, np.float32)])
    plain, probed = model.stream(), model.stream()
    probe = Probe(probed)
    expected, events = [], []
    for block in blocks(samples):
        expected += plain.push(block)
        events += probe.push(block)
    n_steps = int(len(samples) / RATE_HZ * 1000 // model.manifest.decoder.step_ms)
    assert len(probe.loop.step_ms) == n_steps
    assert events + probe.finish() == expected + plain.finish()
    assert probe.heard_ms == pytest.approx(1000 * len(samples) / RATE_HZ)
    assert probe.compute_ms >= sum(probe.loop.step_ms) > 0


def test_shown_with_computing_is_never_before_shown_without(model, clips):
    run = run_long(model.stream(), clips, 0.3)
    assert run.score.words > 20
    assert len(run.latency.ends_ms) > 10
    for heard_ms, shown_ms in zip(
        run.latency.shown_after_ms, run.latency.shown_done_after_ms, strict=True
    ):
        assert shown_ms > heard_ms


def test_single_sentences_are_scored_by_voice(model, clips):
    scores = score_clips(model.stream(), clips[:3])
    assert set(scores) == {clip.voice for clip in clips[:3]}
    assert total(scores.values()).words == sum(len(spoken_words(c.text)) for c in clips[:3])


def test_words_in_a_sound_are_counted(model, clips):
    """Speech put in the place of a sound must show up as words."""
    speech = np.concatenate([clips[4].samples, np.zeros(2 * RATE_HZ, np.float32)])
    assert count_words(model.stream(), [speech]) > 2


def test_json_has_its_keys_and_sane_values(figures, tmp_path):
    report.write_json(figures, tmp_path / "figures.json")
    found = json.loads((tmp_path / "figures.json").read_text())
    assert not set(KEYS) - set(found)
    assert 0 < found["rtf_cpu"] < 1
    assert 0 < found["step_p50_ms"] <= found["step_p95_ms"] <= found["step_p99_ms"]
    assert found["delay_ms"] < found["emission_p50_ms"] + 80
    assert found["emission_p50_ms"] < found["emission_with_compute_p50_ms"]
    assert 0 <= found["wer"] < 1
    assert found["wer_words"] == sum(said["words"] for said in found["speech"])
    assert found["startup_s"] > 0
    assert found["rss_30min_mb"] is None
    assert [heard["kind"] for heard in found["nonspeech"]] == list(KINDS)
    if sys.platform == "linux":
        assert 20 < found["rss_mb"] < 2000


def test_the_table_shows_them(figures, capsys):
    report.print_table(figures)
    shown = capsys.readouterr().out
    for label in ("real-time factor", "p99 / p50", "word error rate", "music-like tones"):
        assert label in shown


def test_figures_that_are_missing_are_null_in_json(tmp_path):
    figures = {"emission_p50_ms": float("nan"), "single": {"wer": 1.0, "of": [float("nan")]}}
    report.write_json(figures, tmp_path / "x.json")
    found = json.loads((tmp_path / "x.json").read_text())
    assert found == {"emission_p50_ms": None, "single": {"wer": 1.0, "of": [None]}}


def test_a_plot_is_a_png(figures, tmp_path):
    pytest.importorskip("matplotlib")
    report.draw(figures, tmp_path / "figures.png")
    assert (tmp_path / "figures.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'edgestream\[bench\]'"):
        report.check_places(None, tmp_path / "figures.png")


def test_places_are_checked_before_anything_is_measured(tmp_path):
    with pytest.raises(OutputError, match="there is no folder"):
        report.check_places(tmp_path / "no" / "figures.json", None)


def test_memory_is_read_as_a_curve():
    memory = Memory([Reading(m, 100 + 0.5 * m, 0) for m in range(0, 61, 5)])
    assert memory.most_mb() == 130
    assert memory.at(30) == pytest.approx(115)
    assert memory.at(61) is None
    assert memory.slope_mb_per_hour() == pytest.approx(30)
    assert Memory([]).most_mb() is None
    assert Memory([Reading(0, 100, 0), Reading(0.5, 101, 0)]).slope_mb_per_hour() is None


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_feeding_a_process_gives_readings_and_captions(model, clips, tmp_path):
    captions = tmp_path / "captions.jsonl"
    pieces = [piece for piece, _ in long_stream(clips[:4], 0.1)]
    readings = list(feed(model.folder, 480, pieces, interval_s=2, captions=captions))
    assert len(readings) >= 3
    assert readings[-1].cpu_s > 0
    assert any(json.loads(line)["type"] == "final" for line in captions.read_text().splitlines())


def test_a_process_that_fails_is_one_line(tmp_path):
    with pytest.raises(OperationError, match="no such model"):
        startup_s(tmp_path / "nothing", 1)
    with pytest.raises(OperationError, match="no such model"):
        list(feed(tmp_path / "nothing", 480, [np.zeros(RATE_HZ * 60, np.float32)]))


def test_one_core_is_given_back():
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("no affinity on this system")
    before = os.sched_getaffinity(0)
    with one_core() as pinned:
        assert pinned
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (None, "speak.py"),
        ("", "there is no speech in it"),
        ("{", "line 1"),
        ('{"file": "a.wav"}', "line 1"),
        ('{"file": "cut.wav", "voice": "v", "text": "one", "word_ends_s": [0.1]}', "damaged file"),
        ('{"file": "b.wav", "voice": "v", "text": "one", "word_ends_s": [0.1]}', "line 1"),
        ('{"file": "a.wav", "voice": "v", "text": "one two", "word_ends_s": [0.1]}', "word ends"),
    ],
)
def test_speech_that_cannot_be_used_is_named(tmp_path, index, message):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), RATE_HZ)
    soundfile.write(tmp_path / "cut.wav", np.zeros(RATE_HZ), RATE_HZ)
    os.truncate(tmp_path / "cut.wav", RATE_HZ)
    if index is not None:
        (tmp_path / "speech.jsonl").write_text(index)
    with pytest.raises(SourceError, match=message):
        read_clips(tmp_path)


def test_errors_of_the_command_are_one_line(tmp_path):
    done = run("listen", "--quick", "--speech", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("edgestream: ")
    assert "Traceback" not in done.stderr
    done = run("listen", "--quick", "-m", "nothing")
    assert (done.returncode, "no such model" in done.stderr) == (2, True)
