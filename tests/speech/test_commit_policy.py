# SPDX-License-Identifier: Apache-2.0
"""Policies and delays by name."""

from __future__ import annotations

import pytest

from edgestream.errors import UsageError
from edgestream.policy import Action, AlignAtt, AllOf, AnyOf, LocalAgreement, Observation
from edgestream.speech.reencoded.commit_policy import (
    DELAYS,
    NORMAL,
    commit_policy,
    delay_of,
    without_alignment,
)


@pytest.mark.parametrize(
    ("name", "kind", "n_hypotheses"),
    [
        ("local-agreement", LocalAgreement, 2),
        ("local-agreement:3", LocalAgreement, 3),
        ("wait-k:4", LocalAgreement, 1),
        ("wait-k", LocalAgreement, 1),
        ("alignatt", AlignAtt, 1),
        ("alignatt:64", AlignAtt, 1),
        ("local-agreement:3+alignatt:20", AllOf, 3),
        ("wait-k+alignatt", AllOf, 1),
        ("alignatt:20+local-agreement+wait-k", AllOf, 2),
        ("local-agreement:3+alignatt:20|alignatt:100", AnyOf, 3),
        ("alignatt|wait-k", AnyOf, 1),
    ],
)
def test_a_policy_by_its_name(name, kind, n_hypotheses):
    found = commit_policy(name, "m", aligned=True)
    assert isinstance(found.policy, kind)
    assert found.n_hypotheses == n_hypotheses
    joined = name.count("+") + name.count("|")
    assert len(found.parts) >= joined + bool(joined)


BOTH = [(1, 20, True), (0, 99, False), (1, 19, False), (0, 0, False)]
EITHER = [(1, 20, True), (0, 99, False), (0, 100, True), (1, 19, False)]


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("local-agreement:3+alignatt:20", BOTH),
        ("local-agreement:3+alignatt:20|alignatt:100", EITHER),
    ],
    ids=["all parts must agree", "either of two groups writes"],
)
def test_policies_are_joined(name, cases):
    policy = commit_policy(name, "m", aligned=True).policy
    for agreed, lag, writes in cases:
        seen = Observation()
        seen.agreed, seen.attended_lag = agreed, lag
        assert (policy.decide(seen) is Action.WRITE) == writes


@pytest.mark.parametrize(
    "name",
    ["", "agree", "wait-k:", "wait-k:0", "wait-k:1001", "wait-k:-1", "alignatt:x", "alignatt:1.5",
     "local-agreement+", "|alignatt", "alignatt|", "+alignatt", "local-agreement,alignatt",
     "local-agreement:2:3",
     "x" * 5000, "local-agreement\nalignatt"],
)  # fmt: skip
def test_a_name_that_is_none_is_one_line_with_those_there_are(name):
    with pytest.raises(UsageError) as caught:
        commit_policy(name, "tiny", aligned=True)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) < 300
    assert said.startswith("tiny: ")
    assert "local-agreement:2, alignatt:25, wait-k:3" in said


@pytest.mark.parametrize(
    "given", ["alignatt", "local-agreement+alignatt:9", "wait-k|wait-k+alignatt", AlignAtt(25)]
)
def test_alignatt_needs_cross_attention(given):
    with pytest.raises(UsageError, match="tiny: alignatt needs a decoder that gives its cross-att"):
        commit_policy(given, "tiny", aligned=False)
    assert commit_policy(given, "tiny", aligned=True)


def test_every_delay_is_a_policy_and_has_one_without_attention():
    assert NORMAL in DELAYS
    units = [delay.unit_ms for delay in DELAYS.values()]
    assert units == sorted(units)
    for name, delay in DELAYS.items():
        assert delay_of(name, "m") is delay
        assert commit_policy(delay.policy, "m", aligned=True)
        assert commit_policy(without_alignment(delay.policy), "m", aligned=False)
    assert delay_of(None, "m") is DELAYS[NORMAL]
    assert without_alignment("local-agreement:3+alignatt:20") == "local-agreement:3"
    assert without_alignment("alignatt:25") == "local-agreement"


@pytest.mark.parametrize("name", ["fast", "Low", "400", "x" * 5000])
def test_a_delay_that_is_none_is_one_line(name):
    with pytest.raises(UsageError, match=r"tiny: delay .*: choose low, normal, sure") as caught:
        delay_of(name, "tiny")
    assert len(str(caught.value)) < 200
