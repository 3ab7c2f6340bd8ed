# SPDX-License-Identifier: Apache-2.0
"""A memory in which the newest sentence is translated again and again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream._native import Decoder, RingDecoder

Rows = NDArray[np.float32]


class SentenceDecoder(Decoder):
    """What was said before and the sentence so far, read once; behind them, in a fork, what is
    thrown away with each word: the translation so far.

    For a ReencodedLoop: after reset() it takes all rows of the sentence again, and does not
    compute them, since the memory has them.
    """

    def __init__(self, ring: RingDecoder) -> None:
        """`ring`: has read what stands before the first sentence."""
        super().__init__(n_embd=ring.n_embd, n_vocab=ring.n_vocab, max_proposal=ring.max_proposal)
        self._ring = ring
        self._sentence = 0  # rows of it in the ring
        self._aside: Decoder | None = None
        self._known = 0  # rows that the loop will give and the fork has
        self._open = 0  # rows of the fork's proposal

    def read(self, rows: Rows) -> None:
        """The sentence goes on: rows [n, n_embd]."""
        self._ring.step_groups([(0, rows)], logits="none")
        self._sentence += len(rows)

    def keep(self, rows: Rows) -> None:
        """The sentence is over, and its translation stays in memory: rows [n, n_embd], with what
        stands before and behind."""
        self._aside = None
        self._ring.step_groups([(0, rows)], logits="none")
        self._ring.begin_unit()
        self._sentence = 0

    def _reset(self) -> None:
        self._aside = None
        self._open = 0
        self._known = self._sentence

    def _step(self, groups: Sequence[Rows], logits: str) -> Rows:
        rows = np.concatenate(groups) if len(groups) > 1 else groups[0]
        known = min(self._known, len(rows))
        self._known -= known
        fork = self._fork_of()
        if logits == "every":
            self._open += len(rows)
            return fork.propose([(0, rows)])
        if len(rows) == known:
            return np.empty((0, self.n_vocab), np.float32)
        return fork.step_groups([(0, rows[known:])], logits=logits)

    def _attention(self, n_after: int) -> Rows:
        """Over the sentence and what stands behind it; a fork knows that of its last row alone."""
        if self._aside is None or n_after > 0:
            return np.empty(0, np.float32)
        return self._aside.attention(0)[-(self.pos + self._open) :]

    def _fork_of(self) -> Decoder:
        if self._aside is None:
            self._aside = self._ring.fork()
        if self._open:
            self._aside.keep(self._open)
            self._open = 0
        return self._aside

    def _take_back(self, n_rows: int) -> None:
        assert self._aside is not None, "nothing was proposed"
        self._aside.keep(self._open - n_rows)
        self._open = 0

    def _token_embedding(self, token: int) -> Rows:
        return self._ring.token_embedding(token)
