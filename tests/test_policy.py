# SPDX-License-Identifier: Apache-2.0
"""Policies as Python sees them: laws over all that a loop may show, composition, own classes."""

import dataclasses
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.errors import ModelError, UsageError
from edgestream.library.toml_file import TOML_LIMIT_BYTES
from edgestream.policy import (
    FEATURES,
    FORMAT,
    Action,
    AlignAtt,
    AllOf,
    AnyOf,
    ConfidenceThreshold,
    EntropyThreshold,
    Head,
    LocalAgreement,
    Observation,
    OutsideThreshold,
    Policy,
    SilenceThreshold,
    TrainedHead,
    WaitK,
    choose_policy,
    head_features,
    read_head,
    write_head,
)
from edgestream.speech.concatenated.model import load

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


@pytest.fixture(scope="module")
def model():
    return load("synthetic-en")


def rows_and_loop(model, policy):
    rows = np.random.default_rng(1).normal(size=(30, model.decoder.n_embd)).astype(np.float32)
    return rows, model.loop(policy, 1, 1)


def test_a_policy_of_python_decides_in_the_loop(model):
    recorder = Recorder()
    rows, loop = rows_and_loop(model, recorder)
    tokens, probabilities, waited = loop.push(rows)
    assert len(tokens) == len(probabilities) == len(waited) >= len(rows) - 1
    assert {held for _, held, _, _ in recorder.shown} == {0, 1}
    assert waited.max() == 1
    assert all(0 <= silence <= probability <= 1 for _, _, probability, silence in recorder.shown)


def test_what_a_policy_of_python_raises_comes_through(model):
    rows, loop = rows_and_loop(model, Broken())
    with pytest.raises(KeyError, match="not today"):
        loop.push(rows)


def make_head(seed=0, **changes):
    rng = np.random.default_rng(seed)
    n = len(FEATURES) + 1

    def numbers(*shape):
        return tuple(float(x) for x in rng.normal(size=shape).astype(np.float32).ravel())

    fields = {
        "format": FORMAT, "description": "made for a test", "delay_frames": 1, "deferrals": 1,
        "latency_weight": 1.0, "min_latency_weight": 0.25, "max_latency_weight": 4.0,
        "features": FEATURES, "mean": numbers(n), "scale": (0.5,) * n,
        "hidden_weights": numbers(4, n), "hidden_bias": numbers(4), "output_weights": numbers(4),
        "output_bias": 0.25, "sha256": "",
    }  # fmt: skip
    return Head(**{**fields, **changes})


@pytest.fixture
def head_file(tmp_path):
    write_head(make_head(), tmp_path / "head.toml")
    return tmp_path / "head.toml"


def test_a_head_is_read_as_it_was_written(head_file):
    read = read_head(head_file)
    assert dataclasses.replace(read, sha256="") == make_head()
    seen = Observation()
    seen.probability = 0.9
    assert read.policy().write_logit(seen) == make_head().policy().write_logit(seen)


def test_the_latency_weight_has_its_range(head_file):
    head = read_head(head_file)
    seen = Observation()
    assert head.policy(0.25).write_logit(seen) != head.policy(4.0).write_logit(seen)
    with pytest.raises(UsageError, match=r"trained for 0\.25 to 4"):
        head.policy(5.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "this version reads 1"),
        ("deferrals = 1", "deferrals = 99", "deferrals 0 to 8"),
        ("deferrals = 1", "deferrals = 1.5", "deferrals: 1.5 is not of type int"),
        ("output_bias = 0.25", "output_bias = 0.26", "altered or damaged"),
        ("output_bias = 0.25", "output_bias = nan", "output_bias is not finite"),
        ("output_bias = 0.25", "output_bias = 1e300", "too large"),
        ("output_bias = 0.25", f"output_bias = {10**400}", "output_bias: 1000"),
        ("output_bias", "bias", "unknown key 'bias'"),
        ('"margin"', '"luck"', "its features are .*luck"),
        ("scale = [0.5,", "scale = [", "scale has 7 numbers, must have 8"),
        ("scale = [0.5,", "scale = [0.0,", "scale must be above 0"),
        ("scale = [0.5,", "scale = [[0.5],", "not of type float"),
        ("latency_weight = 1.0\n", "latency_weight = 9.0\n", "between its limits"),
        ("[", "[[[[", "not valid TOML"),
    ],
)
def test_a_head_that_cannot_be_used_is_named_in_one_line(head_file, old, new, message):
    text = head_file.read_text()
    assert old in text
    head_file.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError, match=message) as caught:
        read_head(head_file)
    assert str(head_file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_heads_are_refused_or_the_same(head_file):
    good, rng = head_file.read_bytes(), random.Random(1)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
        head_file.write_bytes(bad)
        try:
            head = read_head(head_file)
        except ModelError:
            continue
        same = make_head().hidden_weights  # but for digits that float32 does not have
        np.testing.assert_array_equal(np.float32(head.hidden_weights), np.float32(same))


def test_a_file_that_is_no_head_is_refused(tmp_path):
    with pytest.raises(ModelError, match="No such file or directory; make a policy head"):
        read_head(tmp_path / "head.toml")
    (tmp_path / "head.toml").write_text(" " * (TOML_LIMIT_BYTES + 1))
    with pytest.raises(ModelError, match="larger than"):
        read_head(tmp_path / "head.toml")


def test_a_stream_takes_a_policy_a_head_or_its_file(model, head_file):
    assert model.stream(policy=make_head()).delay_ms == 80
    assert model.stream(policy=head_file).delay_ms == model.stream(policy=str(head_file)).delay_ms
    assert model.stream(policy=make_head(), delay_ms=240).delay_ms == 240
    assert model.stream(policy=WaitK(0), delay_ms=560, deferrals=1).delay_ms == 560
    with pytest.raises(UsageError, match="has delays up to 640 ms"):
        model.stream(policy=WaitK(0), delay_ms=640, deferrals=1)
    with pytest.raises(UsageError, match="not both"):
        model.stream(policy=WaitK(0), confidence=0.5)


def test_a_family_says_which_policies_it_does_not_take(model, head_file):
    for name in ("wait-k", "alignatt:50", "local-agreement:3+alignatt:20", "wait-k|alignatt"):
        with pytest.raises(
            UsageError, match=r"synthetic-en: policy '.*' is for models that decode"
        ):
            model.stream(policy=name)
    for head in (make_head(), head_file):
        with pytest.raises(UsageError, match="tiny: a policy head decides for models of another"):
            choose_policy(head, "tiny", named=True)
    for named in (False, True):
        assert isinstance(choose_policy(WaitK(3), "tiny", named=named).policy, WaitK)
        with pytest.raises(UsageError, match="policy: int cannot be used"):
            choose_policy(5, "tiny", named=named)
    with pytest.raises(ModelError, match="No such file or directory; make a policy head"):
        model.stream(policy="agree")
    with pytest.raises(UsageError, match=r"tiny: policy 'head\.toml': try local-agreement:2"):
        choose_policy("head.toml", "tiny", named=True)
