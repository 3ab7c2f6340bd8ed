# SPDX-License-Identifier: Apache-2.0
"""A policy of one sentence, in a stream of many."""

from __future__ import annotations

from edgestream._native import Loop
from edgestream.policy import Action, Observation, Policy

SEEN = (
    "held", "turn", "since_write", "agreed", "attended_lag", "writing", "probability", "margin",
    "silence", "entropy", "outside",
)  # fmt: skip  # of an observation, that are as they are


class SentencePolicy(Policy):
    """Shows a policy the counts since the sentence began: wait-k waits anew in each, and when a
    sentence is over nothing is waited for. A loop counts from the beginning of its stream, in which
    a translation has more words than its source, or fewer.
    """

    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self._policy = policy
        self._n_read = self._n_written = 0  # when the sentence began
        self.is_over = False  # the whole sentence is read with the next unit

    def begin(self, loop: Loop) -> None:
        """A sentence begins."""
        self._n_read, self._n_written, self.is_over = loop.read, loop.written, False

    def decide(self, seen: Observation) -> Action:
        """As the policy does."""
        if self.is_over or seen.finished:
            return Action.WRITE
        inner = Observation()
        for name in SEEN:
            setattr(inner, name, getattr(seen, name))
        inner.read = seen.read - self._n_read
        inner.written = seen.written - self._n_written
        return self._policy.decide(inner)


class UntilEnd(Policy):
    """Writes until the model ends its turn."""

    def decide(self, seen: Observation) -> Action:
        """Always."""
        return Action.WRITE
