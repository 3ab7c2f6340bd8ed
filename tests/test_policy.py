# SPDX-License-Identifier: Apache-2.0
"""Policies as Python sees them: laws over all that a loop may show, composition, own classes."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream._native import (
    Action,
    AlignAtt,
    AllOf,
    AnyOf,
    ConfidenceThreshold,
    EntropyThreshold,
    LocalAgreement,
    Observation,
    OutsideThreshold,
    Policy,
    SilenceThreshold,
    TrainedHead,
    WaitK,
    head_features,
)

probabilities = st.floats(0, 1, width=32)
counts = st.integers(0, 50)


@st.composite
def observations(draw):
    seen = Observation()
    for name in ("read", "written", "held", "turn", "since_write", "agreed", "attended_lag"):
        setattr(seen, name, draw(counts))
    for name in ("probability", "margin", "silence", "outside"):
        setattr(seen, name, draw(probabilities))
    seen.entropy = draw(st.floats(0, 7, width=32))
    seen.finished, seen.writing = draw(st.booleans()), draw(st.booleans())
    return seen


def writes(policy, seen):
    return policy.decide(seen) == Action.WRITE


@given(observations(), probabilities, probabilities, counts, counts)
def test_a_stricter_threshold_never_writes_more(seen, one, other, k, m):
    low, high = sorted((one, other))
    few, many = sorted((k, m))
    for eager, strict in [
        (WaitK(few), WaitK(many)),
        (ConfidenceThreshold(0, low, 3), ConfidenceThreshold(0, high, 3)),
        (ConfidenceThreshold(0, high, few), ConfidenceThreshold(0, high, many)),
        (EntropyThreshold(0, high, 3), EntropyThreshold(0, low, 3)),
        (SilenceThreshold(high), SilenceThreshold(low)),
        (SilenceThreshold(low, high), SilenceThreshold(low, low)),
        (LocalAgreement(few + 1), LocalAgreement(many + 1)),
        (AlignAtt(few + 1), AlignAtt(many + 1)),
        (OutsideThreshold(low), OutsideThreshold(high)),
    ]:
        assert writes(eager, seen) >= writes(strict, seen)


@given(observations(), probabilities, probabilities)
def test_hysteresis_does_not_change_its_mind_inside_the_band(seen, one, other):
    low, high = sorted((one, other))
    seen.finished, seen.read = False, 1000
    if low <= seen.probability < high:
        assert writes(ConfidenceThreshold(0, high, 1000, stay=low), seen) == seen.writing
    if low < seen.entropy <= high:
        assert writes(EntropyThreshold(0, low, 1000, stay=high), seen) == seen.writing
    if low <= seen.outside < high:
        assert writes(OutsideThreshold(high, stay=low), seen) == seen.writing


@given(observations())
def test_nothing_waits_once_the_source_has_ended(seen):
    seen.finished = True
    for policy in (
        WaitK(99, 3), ConfidenceThreshold(9, 1.0, 9), EntropyThreshold(9, 0.0, 9),
        LocalAgreement(99), AlignAtt(99), head(-100.0),
    ):  # fmt: skip
        assert writes(policy, seen)


@given(observations(), counts, probabilities)
def test_all_of_and_any_of(seen, k, threshold):
    parts = [WaitK(k), ConfidenceThreshold(0, threshold, 3), OutsideThreshold(0.5)]
    assert writes(AllOf(*parts), seen) == all(writes(p, seen) for p in parts)
    assert writes(AnyOf(*parts), seen) == any(writes(p, seen) for p in parts)


def test_a_composition_keeps_its_parts_alive():
    policy = AllOf(AnyOf(WaitK(3), OutsideThreshold(0.5)), WaitK(1))
    seen = Observation()
    seen.read, seen.outside = 2, 0.7
    assert writes(policy, seen)
    seen.outside = 0.3
    assert not writes(policy, seen)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WaitK(-1), "k is -1, must be from 0"),
        (lambda: WaitK(1, 0), "stride is 0, must be from 1"),
        (lambda: ConfidenceThreshold(0, 2, 0), "not a probability"),
        (lambda: ConfidenceThreshold(0, 0.5, 0, stay=0.6), "stay must not be above"),
        (lambda: EntropyThreshold(0, -1, 0), "needs 0 <= threshold <= stay"),
        (lambda: SilenceThreshold(math.nan), "not a probability"),
        (lambda: LocalAgreement(0), "must be from 1"),
        (lambda: AlignAtt(0), "must be from 1"),
        (lambda: OutsideThreshold(math.inf), "needs numbers"),
        (lambda: AllOf(), "one policy or more"),
        (lambda: LocalAgreement().decide(Observation()), "compares no hypotheses"),
        (lambda: AlignAtt(2).decide(Observation()), "no attention is captured"),
        (lambda: OutsideThreshold(0.5).decide(Observation()), "no score from outside"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_only_policies_can_be_combined():
    with pytest.raises((TypeError, RuntimeError)):
        AllOf(WaitK(1), "wait-k")


def head(bias, n_hidden=3, seed=0):
    rng = np.random.default_rng(seed)
    n = len(head_features(Observation())) + 1
    return TrainedHead(
        mean=rng.normal(size=n), scale=rng.uniform(0.5, 2, n),
        hidden_weights=rng.normal(size=n * n_hidden), hidden_bias=rng.normal(size=n_hidden),
        output_weights=rng.normal(size=n_hidden), output_bias=bias,
        latency_weight=0.3, max_hold=2,
    )  # fmt: skip


@given(observations())
def test_a_head_writes_by_its_logit_and_within_its_limits(seen):
    policy = head(0.1)
    limited = seen.finished or seen.held >= 2
    assert writes(policy, seen) == (limited or policy.write_logit(seen) > 0)
    assert all(math.isfinite(x) for x in head_features(seen).values())


class Recorder(Policy):
    """Defers every third slot and keeps what it was shown."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def decide(self, seen):
        self.shown.append((seen.read, seen.held, seen.probability, seen.silence))
        return Action.READ if len(self.shown) % 3 == 0 and seen.held == 0 else Action.WRITE


class Broken(Policy):
    def decide(self, seen):
        raise KeyError("not today")


def rows_and_loop(policy, **options):
    from edgestream._native import ConcatenatedLoop, GgufModel, RingDecoder, SpecialTokens
    from edgestream.model import find

    model = GgufModel(str(Path(find("tiny-en")) / "decoder.gguf"))
    decoder = RingDecoder(model, n_sinks=2, window=20, max_rows=1)
    special = SpecialTokens(pad=0, bos=1001, delay_0=1002, n_text=1000)
    rows = np.random.default_rng(1).normal(size=(30, model.n_embd)).astype(np.float32)
    return rows, ConcatenatedLoop(decoder, policy, special, delay_frames=1, pad_bias=0.5, **options)


def test_a_policy_of_python_decides_in_the_loop():
    recorder = Recorder()
    rows, loop = rows_and_loop(recorder, deferrals=1)
    tokens, probabilities, waited = loop.push(rows)
    assert len(tokens) == len(probabilities) == len(waited) >= len(rows) - 1
    assert {held for _, held, _, _ in recorder.shown} >= {0}
    assert waited.max() == 1
    assert all(0 <= silence <= probability <= 1 for _, _, probability, silence in recorder.shown)


def test_what_a_policy_of_python_raises_comes_through():
    rows, loop = rows_and_loop(Broken(), deferrals=1)
    with pytest.raises(KeyError, match="not today"):
        loop.push(rows)
