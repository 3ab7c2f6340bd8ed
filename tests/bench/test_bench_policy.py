# SPDX-License-Identifier: Apache-2.0
"""Latency metrics against values worked out by hand, and the benchmark of the policies."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.bench.policy import measure as bench_policy
from edgestream.bench.policy import report as policy_report
from edgestream.bench.policy.latency import (
    average_lagging,
    length_adaptive_average_lagging,
    normalised_erasure,
)
from edgestream.bench.policy.run import PolicyRun, encode
from edgestream.policy import ConfidenceThreshold, WaitK
from edgestream.scoring.clips import BUNDLED, read_clips
from edgestream.scoring.words import Score
from edgestream.speech.concatenated.model import load

delays = st.lists(st.floats(1, 3000), min_size=1, max_size=12).map(sorted)


def test_average_lagging_by_hand():
    # Ideal words begin at 0, 250, 500 and 750 ms.
    assert average_lagging([300, 500, 900, 1000], 1000, 4) == pytest.approx(300)
    # The third word comes after the end: the fourth does not count.
    assert average_lagging([300, 500, 1100, 1200], 1000, 4) == pytest.approx((300 + 250 + 600) / 3)
    assert average_lagging([1200], 1000, 4) == 1200
    assert math.isnan(average_lagging([], 1000, 4))


def test_average_lagging_of_wait_k_is_k():
    """Reading a unit of 80 ms before each of as many words as units, k ahead (Ma et al.)."""
    n, unit_ms = 20, 80.0
    for k in (1, 3, 7):
        read = [min(k + i, n) * unit_ms for i in range(n)]
        assert average_lagging(read, n * unit_ms, n) == pytest.approx(k * unit_ms)


def test_writing_too_much_makes_al_small_but_not_laal():
    # Eight words where four were said: AL takes 0, 250, ..., LAAL 0, 125, ... as ideal.
    written = [125.0 * (i + 1) for i in range(8)]
    assert average_lagging(written, 1000, 4) == pytest.approx(125 - 125 * 3.5)
    assert length_adaptive_average_lagging(written, 1000, 4) == pytest.approx(125)


@given(delays, st.floats(100, 2000), st.integers(1, 12))
def test_laal_is_al_unless_too_much_was_written(written, source_ms, n_reference):
    al = average_lagging(written, source_ms, n_reference)
    laal = length_adaptive_average_lagging(written, source_ms, n_reference)
    assert laal >= al or laal == pytest.approx(al)
    if len(written) <= n_reference:
        assert laal == al


@given(delays, st.floats(0, 500))
def test_later_words_lag_by_as_much_more(written, later_ms):
    source_ms = 4000.0  # all of them come before its end
    later = [ms + later_ms for ms in written]
    lag = average_lagging(later, source_ms, 5) - average_lagging(written, source_ms, 5)
    assert lag == pytest.approx(later_ms, abs=1e-6)


def test_normalised_erasure_by_hand():
    append_only = [[], ["a"], ["a", "b"], ["a", "b", "c"]]
    assert normalised_erasure(append_only) == 0
    # "b" is taken back once, then "c" and "d": three words for a last hypothesis of two.
    revised = [["a", "b"], ["a", "c", "d"], ["a", "e"]]
    assert normalised_erasure(revised) == pytest.approx(3 / 2)
    assert math.isnan(normalised_erasure([["a"], []]))


@pytest.fixture(scope="module")
def model():
    return load("synthetic-en")


@pytest.fixture(scope="module")
def clips(model):
    return encode(model, read_clips(BUNDLED)[:3])


@pytest.fixture(scope="module")
def figures():
    return bench_policy.measure("synthetic-en", None, None, limit=2)


def test_a_run_gives_the_words_of_a_stream(model, clips):
    run = PolicyRun(model, WaitK(0), 6, 0)
    score = Score()
    for clip in clips:
        words = run.decode(clip)
        score.add([w.text for w in clip.spoken], [w.text for w in words])
        assert all(word.waited == 0 for word in words)
        assert words == run.decode(clip)
    assert score.wer < 0.5


def test_what_is_deferred_is_shown_later_and_in_order(model, clips):
    words = [
        word
        for clip in clips
        for word in PolicyRun(model, ConfidenceThreshold(0, 0.9, 1), 1, 1).decode(clip)
    ]
    assert {word.waited for word in words} == {0, 1}
    steps = [w.shown_step for w in PolicyRun(model, WaitK(0), 1, 0).decode(clips[0])]
    assert steps == sorted(steps)


def test_every_policy_is_measured(figures, tmp_path):
    rows = figures["policies"]
    names = [row["policy"] for row in rows]
    assert len(set(zip(names, (r["setting"] for r in rows), strict=True))) == len(rows)
    assert {"fixed delay", "confidence", "entropy", "agreement"} <= set(names)
    for row in rows:
        assert 0 <= row["wer"] <= 2
        assert row["ne"] == 0
        assert row["al_ms"] <= row["laal_ms"] + 1e-9
        assert row["shown_after_ms"] > 0
    json.dumps(figures)


def test_equal_latency_is_read_off_the_line_between_fixed_delays():
    fixed = [
        {"policy": "fixed delay", "laal_ms": ms, "wer": wer}
        for ms, wer in [(100, 0.3), (200, 0.2), (400, 0.1)]
    ]
    for laal_ms, wer in [(150, 0.25), (300, 0.15), (500, 0.1)]:
        found = bench_policy.fixed_wer_at(fixed, "laal_ms", {"laal_ms": laal_ms})
        assert found == pytest.approx(wer)
    assert bench_policy.fixed_wer_at(fixed, "laal_ms", {"laal_ms": 50}) is None


def test_the_table_and_the_picture(figures, tmp_path, capsys):
    policy_report.print_table(figures)
    shown = capsys.readouterr().out
    assert "fixed delay" in shown
    assert "LAAL" in shown
    pytest.importorskip("matplotlib")
    policy_report.draw(figures, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_refuses_in_one_line(tmp_path):
    command = [sys.executable, "-m", "edgestream", "bench", "policy", "--head"]
    done = subprocess.run(
        [*command, str(tmp_path / "none.toml")], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 2
    assert done.stderr.startswith("edgestream: ")
    assert "train_policy.py" in done.stderr


def test_written_words_have_their_slots(model, clips):
    words = PolicyRun(model, WaitK(0), 2, 0).decode(clips[1])
    slots = np.array([word.slot for word in words])
    assert (np.diff(slots) >= 0).all()
