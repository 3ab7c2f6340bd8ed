# SPDX-License-Identifier: Apache-2.0
"""When a word of a re-encoded window is committed: the usual policies, and what they need."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgestream.errors import UsageError
from edgestream.policy import (
    ALIGNATT,
    AND,
    LOCAL_AGREEMENT,
    OR,
    AlignAtt,
    AllOf,
    ChosenPolicy,
    OutsideThreshold,
    choose_policy,
)


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


def delay_of(name: str | None, model: str) -> Delay:
    """The delay by its name; raises UsageError, naming those there are."""
    if (name or NORMAL) not in DELAYS:
        raise UsageError(f"{model}: delay {name!r:.80}: choose {', '.join(DELAYS)}")
    return DELAYS[name or NORMAL]


def commit_policy(given: object, model: str, *, aligned: bool) -> ChosenPolicy:
    """The policy by its name or as it is given; `aligned`: the decoder gives its cross-attention.

    Raises UsageError on what is no policy of this family, and on alignatt without cross-attention.
    """
    found = choose_policy(given, model, named=True)
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


def held_from_outside(decides: ChosenPolicy) -> ChosenPolicy:
    """The same, but nothing is committed while the loop's score from outside is 0, not 1."""
    held = OutsideThreshold(1.0)
    policy, parts = AllOf(decides.policy, held), (decides.policy, *decides.parts, held)
    return replace(decides, policy=policy, parts=parts)
