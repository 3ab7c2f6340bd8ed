# SPDX-License-Identifier: Apache-2.0
"""When a word of a re-encoded window is committed: policies by name, and the usual ones."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from edgestream.errors import UsageError
from edgestream.policy import AlignAtt, AllOf, AnyOf, Head, LocalAgreement, OutsideThreshold, Policy

LOCAL_AGREEMENT, ALIGNATT, WAIT_K = "local-agreement", "alignatt", "wait-k"
USUAL = {LOCAL_AGREEMENT: 2, ALIGNATT: 25, WAIT_K: 3}  # by name, each with its usual number
MOST = {LOCAL_AGREEMENT: 64, ALIGNATT: 1000, WAIT_K: 64}  # numbers of each
AND, OR = "+", "|"  # between policies that must all agree, and between such groups


@dataclass(frozen=True, slots=True)
class Delay:
    """How often a window is decoded, and what must be so before a word is committed."""

    unit_ms: int
    policy: str


# By what a user wishes: words early, or sure. docs/whisper.md has errors and latency of each.
NORMAL = "normal"
DELAYS = {
    "low": Delay(250, "alignatt:25"),
    NORMAL: Delay(400, "local-agreement:3+alignatt:20|alignatt:100"),
    "sure": Delay(1000, "local-agreement:2"),
}


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """A policy of the native core, and how many hypotheses its loop compares for it."""

    policy: Policy
    n_hypotheses: int
    parts: tuple[Policy, ...] = ()  # that it is made of, if of several


def delay_of(name: str | None, model: str) -> Delay:
    """The delay by its name; raises UsageError, naming those there are."""
    if (name or NORMAL) not in DELAYS:
        raise UsageError(f"{model}: delay {name!r:.80}: choose {', '.join(DELAYS)}")
    return DELAYS[name or NORMAL]


def commit_policy(
    given: Policy | Head | str | os.PathLike[str], model: str, *, aligned: bool
) -> CommitPolicy:
    """The policy by its name, `local-agreement:3`, or by names with + (both) and | (either, binds
    less) between; or as it is given.

    `aligned`: the decoder gives its cross-attention. Raises UsageError on a name or number that is
    not known, and on alignatt without cross-attention.
    """
    if isinstance(given, Head):
        raise UsageError(f"{model}: a policy head decides for models of another family")
    if isinstance(given, Policy):
        found = CommitPolicy(given, USUAL[LOCAL_AGREEMENT])
    else:
        groups = [_all_of(group, model) for group in os.fspath(given).split(OR)]
        found = _joined(groups, AnyOf)
    if not aligned and any(isinstance(p, AlignAtt) for p in (found.policy, *found.parts)):
        raise UsageError(
            f"{model}: alignatt needs a decoder that gives its cross-attention, as"
            " `edgestream convert` writes it (of public exports, those named timestamped)"
        )
    return found


def without_alignment(policy: str) -> str:
    """The first group's parts that need no cross-attention; local agreement if there are none."""
    first = policy.split(OR)[0]
    return AND.join(p for p in first.split(AND) if not p.startswith(ALIGNATT)) or LOCAL_AGREEMENT


def held_from_outside(decides: CommitPolicy) -> CommitPolicy:
    """The same, but nothing is committed while the loop's score from outside is 0, not 1."""
    held = OutsideThreshold(1.0)
    policy, parts = AllOf(decides.policy, held), (decides.policy, *decides.parts, held)
    return replace(decides, policy=policy, parts=parts)


def _all_of(group: str, model: str) -> CommitPolicy:
    return _joined([_named(name, model) for name in group.split(AND)], AllOf)


def _joined(parts: list[CommitPolicy], join: type[AllOf] | type[AnyOf]) -> CommitPolicy:
    """One policy of several, and all that it is made of."""
    if len(parts) == 1:
        return parts[0]
    policies = tuple(part.policy for part in parts)
    inner = tuple(each for part in parts for each in part.parts)
    return CommitPolicy(join(*policies), max(p.n_hypotheses for p in parts), (*policies, *inner))


def _named(text: str, model: str) -> CommitPolicy:
    name, colon, digits = text.partition(":")
    number = int(digits) if digits.isdecimal() else USUAL.get(name, 0)
    if name not in USUAL or (colon and not digits.isdecimal()) or not 0 < number <= MOST[name]:
        known = ", ".join(f"{each}:{number}" for each, number in USUAL.items())
        raise UsageError(
            f"{model}: policy {text!r:.80}: try {known}; + between two for both, | for either"
        )
    if name == LOCAL_AGREEMENT:
        return CommitPolicy(LocalAgreement(), number)
    if name == WAIT_K:  # of one hypothesis: with as many tokens behind the one that is written
        return CommitPolicy(LocalAgreement(number + 1), 1)
    return CommitPolicy(AlignAtt(number), 1)
