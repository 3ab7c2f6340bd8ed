# SPDX-License-Identifier: Apache-2.0
"""How much of a hypothesis is shown before it is sure: enough to be early, little that stutters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


class SteadyDraft:
    """Holds back what is likely to change: words of the newest sound, until a second look agrees.

    A token is shown if the last hypothesis had it too, or if it was heard `hold_ms` ago.
    """

    def __init__(self, hold_ms: float) -> None:
        self._hold_ms = hold_ms
        self.reset()

    def reset(self) -> None:
        """Nothing was seen yet."""
        self._last: list[int] = []

    def committed(self, tokens: Sequence[int]) -> None:
        """These left the front of the last hypothesis, if it had them."""
        same = self._last[: len(tokens)] == list(tokens)
        self._last = self._last[len(tokens) :] if same else []

    def shown(
        self, hypothesis: Sequence[int], begins_ms: Sequence[float], now_ms: float
    ) -> list[int]:
        """The part of it that is shown; `begins_ms` are the times at which its tokens begin and one
        for what follows, or empty where that is not known."""
        last, self._last = self._last, list(hypothesis)
        ages = [now_ms - end for _, end in pairwise(begins_ms)] or [0.0] * len(hypothesis)
        for i, (token, age_ms) in enumerate(zip(hypothesis, ages, strict=True)):
            agrees = i < len(last) and last[i] == token
            if not agrees and age_ms < self._hold_ms:
                return list(hypothesis[:i])
        return list(hypothesis)
