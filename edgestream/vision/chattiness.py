# SPDX-License-Identifier: Apache-2.0
"""What is worth saying: one setting for how much is said, and no comment twice in a while."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from edgestream.errors import UsageError
from edgestream.system.checks import finite

USUAL = 0.5
BIAS_RANGE = 4.0  # of silence's logit, in nats: speaking gets 55 times as likely, or as unlikely
USUAL_MEMORY_MS = 2_000.0
MEMORY_RANGE = 16.0  # times as long when quiet, times as short when chatty


@dataclass(frozen=True, slots=True)
class Chattiness:
    """0 speaks of what is sure and new, 1 of all that a model can see; 0.5 is a model's own way.

    Raises UsageError when the value lies outside.
    """

    value: float = USUAL

    def __post_init__(self) -> None:
        if not 0 <= finite(self.value, "chattiness", "it must lie between 0 and 1") <= 1:
            raise UsageError(f"chattiness is {self.value:g}; it must lie between 0 and 1")

    @property
    def silence_bias(self) -> float:
        """To be taken from the logit of silence, beside what the model's own manifest says."""
        return BIAS_RANGE * (2 * self.value - 1)

    @property
    def memory_ms(self) -> float:
        """How long a comment is not said again."""
        return float(USUAL_MEMORY_MS * MEMORY_RANGE ** (1 - 2 * self.value))


class Novelty:
    """Whether a comment says something that was not said lately.

    Likeness is the share of words that two comments have in common (twice the common words over all
    words of both, each as often as it is there); a comment as like to an earlier one as `max_alike`
    or more is no news for `memory_ms`. Repeating does not prolong the memory, so that what goes on
    is told again.
    """

    def __init__(self, memory_ms: float, *, max_alike: float = 1.0) -> None:
        self._memory_ms = memory_ms
        self._max_alike = max_alike
        self._said: deque[tuple[float, Counter[str]]] = deque()

    def push(self, text: str, time_ms: float) -> bool:
        """Whether `text`, which would be said at `time_ms`, is news; if so it is remembered."""
        while self._said and time_ms - self._said[0][0] >= self._memory_ms:
            self._said.popleft()
        words = Counter(text.lower().split())
        if any(_likeness(words, said) >= self._max_alike for _, said in self._said):
            return False
        self._said.append((time_ms, words))
        return True

    def reset(self) -> None:
        """Forgets all that was said."""
        self._said.clear()


def _likeness(one: Counter[str], other: Counter[str]) -> float:
    n_words = one.total() + other.total()
    return 2 * (one & other).total() / n_words if n_words else 1.0
