# SPDX-License-Identifier: Apache-2.0
"""Simultaneous translation by its definition, in float64: all rows are computed anew for each word,
and nothing is drafted or taken over from the word before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from float64_regions import Float64Regions
from tiny_llama import TinyShape

Tokens = list[int]


class Float64Memory:
    """A memory of one region, or of input and output, whose newest rows can be taken back."""

    def __init__(
        self,
        shape: TinyShape,
        weights: dict[str, np.ndarray],
        prompt: Tokens,
        windows: list[int],
        *,
        n_sinks: int,
        gap: int = 0,
    ) -> None:
        layout = "grouped" if len(windows) > 1 else "one-clock"
        self.llama = Float64Regions(
            shape, weights, n_sinks=n_sinks, windows=windows, layout=layout, gap=gap
        )
        self.enter(0, prompt)

    def enter(self, region: int, tokens: Sequence[int]) -> np.ndarray:
        """The logits behind the last of the tokens, one at least."""
        rows = self.llama.weights["token_embd.weight"][list(tokens)]
        return self.llama.step_groups([(region, rows)])[-1]

    def take_back(self, n_rows: int) -> None:
        """The newest rows were never there."""
        for _ in range(n_rows):
            row = self.llama.rows.pop()
            self.llama.pos -= 1
            self.llama.next[row.region] -= 1
            for kept in (*self.llama.keys, *self.llama.values):
                kept.pop()

    @property
    def n_rows(self) -> int:
        """Ever taken."""
        return len(self.llama.rows)

    def lag(self, layers: Sequence[int], words: Sequence[range]) -> int:
        """Words from the most attended to the newest one, for the newest row; `words` are their
        rows. A word whose first row has left is not looked at."""
        mean = np.mean([self.llama.weights_seen[i].mean(axis=0) for i in layers], axis=0)
        weights = dict(zip(self.llama._kept()[0].tolist(), mean.tolist(), strict=True))
        heard = [max(weights[i] for i in rows) for rows in words if rows[0] in weights]
        return len(heard) - 1 - max(i for i, weight in enumerate(heard) if weight == max(heard))


def in_words(tokens: Tokens, begins: Sequence[bool]) -> list[tuple[int, ...]]:
    """Tokens as words; the first token begins one, whatever it is."""
    words: list[tuple[int, ...]] = []
    for token in tokens:
        if words and not begins[token]:
            words[-1] += (token,)
        else:
            words.append((token,))
    return words


def agreement(hypotheses: Sequence[Tokens], begins: Sequence[bool]) -> Tokens:
    """What all begin with, in whole words."""
    same = zip(*(in_words(each, begins) for each in hypotheses), strict=False)
    agreed: Tokens = []
    for words in same:
        if len(set(words)) > 1:
            break
        agreed += words[0]
    return agreed


def greedy(
    memory: Float64Memory, rows: Tokens, ends: Sequence[int], longest: int, lag: Callable[[], int]
) -> tuple[Tokens, list[int]]:
    """What follows `rows`, which are taken back, and what `lag` says before each token."""
    logits, written, lags = memory.enter(0, rows), [], []
    while len(written) < longest and (token := int(np.argmax(logits))) not in ends:
        lags.append(lag())
        written.append(token)
        logits = memory.enter(0, [token])
    memory.take_back(len(rows) + len(written))
    return written, lags
