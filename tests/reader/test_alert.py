# SPDX-License-Identifier: Apache-2.0
"""Alerts: what fits a line is told once, with that line, however the words came."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_reader import real_reader, tiny_reader

from edgestream.decoder.rows import token_rows
from edgestream.errors import UsageError
from edgestream.events import Alert, Draft, Final
from edgestream.reader import alert_probe
from edgestream.reader.alert import AGAIN_MS, MAX_LATE, Alerts, AlertStage
from edgestream.reader.alert_probe import LEAD, MAX_LINE, OPENING, AlertProbe
from edgestream.reader.reader import Reader
from edgestream.reader.units import Unit
from edgestream.reader.writer import Writer

ALERTS = ("he asks", "it rains", "x")
LOW = 0.1  # a random model is never sure
LINES = ["Is it you?", "Rain again.", "Yes.", "No, no, no.", "Is it you?"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Its tokens are bytes; the prompt that shows how is short, so that tests are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alert_probe, "EXAMPLES", (("A car.", "a car"),))
        yield tiny_reader(tmp_path_factory.mktemp("reader"))


class Scripted:
    """A probe that says what it is told to."""

    def __init__(self, scores):
        self._scores = iter(scores)

    def prepare(self):
        pass

    def scores(self, line):
        return np.array([next(self._scores)])


def told_at(scores, step_ms=20_000.0):
    """Indices of the lines that are told, a line every `step_ms`."""
    stage = AlertStage(Scripted(scores), ["it rains"], 0.5, Writer(beside=False))
    told = []
    for i in range(len(scores)):
        events = stage.push(Unit("", i * step_ms, (i + 1) * step_ms, f"line {i}"))
        assert all(event.line == f"line {i}" for event in events)
        told += [i] * len(events)
    return told


def test_an_alert_is_told_once_while_it_goes_on():
    assert told_at([0.1, 0.9, 0.9, 0.6, 0.9, 0.8, 0.9]) == [1]


def test_it_is_told_again_when_it_was_over_and_a_minute_has_passed():
    assert told_at([0.9, 0.1, 0.9, 0.9]) == [0, 3]
    assert told_at([0.9, 0.1, 0.4, 0.4, 0.9], AGAIN_MS) == [0, 4]


def test_what_falls_a_little_is_not_over():
    assert told_at([0.9, 0.3, 0.9, 0.3, 0.9], AGAIN_MS) == [0]


def test_a_line_that_is_no_surer_than_the_threshold_is_told():
    assert told_at([0.49, 0.5]) == [1]


def test_an_alert_names_its_words_its_line_and_its_time():
    stage = AlertStage(Scripted([0.87654]), ["it rains"], 0.5, Writer(beside=False))
    assert stage.push(Unit("Rain", 100.0, 200.0)) == []
    assert stage.push(Unit("", 100.0, 900.0, "Rain again.")) == [
        Alert("it rains", "Rain again.", 0.877, 100.0, 900.0)
    ]


def test_a_fit_is_the_probability_of_the_words_behind_the_line(model):
    """Token by token, on a fork for each alert."""
    probe = AlertProbe(model, ALERTS)
    encode = model.tokenizer.encode
    fits = probe.fit("Rain again.")
    for alert, fit in zip(ALERTS, fits, strict=True):
        fork, total = probe._ring.fork(), 0.0
        tokens = encode(f"{OPENING}Rain again.{LEAD}", add_special=False)
        logits = fork.step(token_rows(model.weights, tokens)).astype(np.float64)
        for token in encode(f" {alert}", add_special=False):
            total += logits[token] - np.logaddexp.reduce(logits)
            logits = fork.step(token_rows(model.weights, [token])).astype(np.float64)
        assert fit == pytest.approx(total, abs=0.05)  # keys are kept in 16 bits


def test_alerts_of_one_token_alone(model):
    assert AlertProbe(model, ["x"]).fit("A.")[0] == pytest.approx(
        AlertProbe(model, ["x", "it rains"]).fit("A.")[0], abs=0.05
    )


def test_lines_leave_no_trace(model):
    probe = AlertProbe(model, ALERTS)
    first = probe.scores(LINES[0])
    for line in LINES:
        probe.scores(line)
    np.testing.assert_array_equal(probe.scores(LINES[0]), first)


def test_of_a_long_line_the_piece_that_fits_best_counts(model):
    probe = AlertProbe(model, ALERTS)
    assert probe._pieces("a " * 30) == ["a " * (MAX_LINE // 2 - 1) + "a", "a " * 11 + "a"]
    pieces = ["Rain again and again and again here", "Is it you? Is it you? Is it not you?", "x"]
    assert probe._pieces(" ".join(pieces)) == pieces
    assert probe._pieces("x" * 50) == ["x" * MAX_LINE]
    best = np.max([probe.scores(piece) for piece in pieces], axis=0)
    np.testing.assert_allclose(probe.scores(" ".join(pieces)), best, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_drafts_before_the_lines_change_nothing(model, data):
    def finals():
        return [Final(line, (), 1e5 * i, 1e5 * (i + 1)) for i, line in enumerate(LINES)]

    whole = Reader(model, [Alerts(ALERTS, threshold=LOW)])
    expected = [event for final in finals() for event in whole.push(final)] + whole.finish()
    assert expected, "nothing to compare"
    cut, told = Reader(model, [Alerts(ALERTS, threshold=LOW)]), []
    for final in finals():
        for _ in range(data.draw(st.integers(0, 2))):
            n_sure = data.draw(st.integers(0, len(final.text)))
            told += cut.push(Draft(final.text, final.start_ms, final.end_ms, n_sure))
        told += cut.push(final)
    assert told + cut.finish() == expected


def test_beside_the_source_the_same_is_told_later(model):
    events = {}
    for beside in (False, True):
        reader = Reader(model, [Alerts(ALERTS, threshold=LOW)], beside=beside)
        told = []
        for i, line in enumerate(LINES):
            told += reader.push(Final(line, (), 1e5 * i, 1e5 * (i + 1)))
        events[beside] = told + reader.finish()
        reader.close()
    assert len(LINES) <= MAX_LATE
    assert events[True] == events[False]


@pytest.mark.parametrize(
    ("alerts", "options", "message"),
    [
        ([], {}, "no alerts; say what to wait for"),
        (["it rains"], {"threshold": 1.5}, "threshold of 1.5; give one between 0 and 1"),
        (["it rains", " . "], {}, "an alert without words"),
        (["that somebody somewhere says so"], {}, "has 32 tokens; at most 20 fit"),
    ],
)
def test_what_cannot_be_waited_for_is_one_line(model, alerts, options, message):
    with pytest.raises(UsageError, match=message):
        Reader(model, [Alerts(alerts, **options)])


def test_alerts_need_a_model():
    with pytest.raises(UsageError, match="alerts need a model"):
        Reader(None, [Alerts(ALERTS)])


@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_a_real_model_tells_lines_apart(name):
    alerts = ["somebody is at the door", "somebody says what something costs"]
    probe = AlertProbe(real_reader(name), alerts)
    lines = ["There is a knock at the front door.", "The new lamp costs forty euros."]
    door, price = (probe.scores(line) for line in lines)
    nothing = probe.scores("I have read three chapters of the book.")
    assert door[0] > 2 * max(price[0], nothing[0])
    assert price[1] > 2 * max(door[1], nothing[1])
    np.testing.assert_array_equal(np.diag([probe.scores(words) for words in probe._words]), 1)
