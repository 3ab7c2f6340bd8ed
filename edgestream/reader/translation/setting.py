# SPDX-License-Identifier: Apache-2.0
"""What a translator is made of, in whatever way source and target lie in its memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgestream._native import LoopConfig
from edgestream.policy import ChosenPolicy, Policy
from edgestream.reader.model import ReaderModel

REENCODED, INTERLEAVED, GROUPED = LAYOUTS = ("reencoded", "interleaved", "grouped")
MOST_AT_ONCE = 64  # tokens that are written behind a word


@dataclass(frozen=True)
class Setting:
    """What all layouts need.

    Attributes:
        begins_word: as of a LoopConfig.
        attention_layers: that the policy looks at; none where it does not look.
    """

    model: ReaderModel
    policy: ChosenPolicy
    begins_word: list[bool]
    attention_layers: list[int]
    n_threads: int

    def config(self, ends: Sequence[int]) -> LoopConfig:
        """Of a loop that reads and writes in one go."""
        return LoopConfig(
            max_tokens_per_unit=MOST_AT_ONCE, end_of_turn=list(ends), begins_word=self.begins_word
        )


def uses(policy: ChosenPolicy, kind: type[Policy]) -> bool:
    """Whether a policy is of a kind, or one of those that it is made of."""
    return any(isinstance(each, kind) for each in (policy.policy, *policy.parts))
