# SPDX-License-Identifier: Apache-2.0
"""A memory in which the newest sentence is translated again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream._native import Decoder, RingDecoder

Rows = NDArray[np.float32]


class SentenceDecoder(Decoder):
    """Two memories. The first has what was said before and the sentence so far, and reads each word
    once. The second follows it, and reads the translation so far, which is thrown away with the
    next word.

    It is for a ReencodedLoop: after reset() that gives all rows of the sentence again, which are
    not computed again.
    """

    def __init__(self, make: Callable[[], RingDecoder], prompt: Rows) -> None:
        """`make` gives a memory; `prompt` [n, n_embd] stands before the first sentence."""
        self._read, self._tried = make(), make()
        super().__init__(
            n_embd=self._read.n_embd,
            n_vocab=self._read.n_vocab,
            max_proposal=self._read.max_proposal,
        )
        self._read.step_groups([(0, prompt)], logits="none")
        self._n_sentence = 0  # rows of the sentence
        self._n_known = 0  # of them, that the loop will give
        self._n_open = 0  # rows of the proposal

    def read(self, rows: Rows) -> None:
        """The sentence goes on: rows [n, n_embd]."""
        self._read.step_groups([(0, rows)], logits="none")
        self._n_sentence += len(rows)

    def end_sentence(self, rows: Rows) -> None:
        """The sentence is over. Its translation, with what stands before and behind it, stays in
        memory: rows [n, n_embd]."""
        self._read.step_groups([(0, rows)], logits="none")
        self._n_sentence = 0

    def _reset(self) -> None:
        self._tried.follow(self._read)
        self._n_open = 0
        self._n_known = self._n_sentence

    def _step(self, groups: Sequence[Rows], logits: str) -> Rows:
        rows = np.concatenate(groups) if len(groups) > 1 else groups[0]
        n_known = min(self._n_known, len(rows))
        self._n_known -= n_known
        self._close(self._n_open)  # of a proposal that was kept whole
        if logits == "every":
            self._n_open = len(rows)
            return self._tried.propose([(0, rows)])
        if len(rows) == n_known:
            return np.empty((0, self.n_vocab), np.float32)
        return self._tried.step_groups([(0, rows[n_known:])], logits=logits)

    def _take_back(self, n_rows: int) -> None:
        self._close(self._n_open - n_rows)

    def _close(self, n_rows: int) -> None:
        if self._n_open:
            self._tried.keep(n_rows)
        self._n_open = 0

    def _attention(self, n_after: int) -> Rows:
        """Over the sentence and what stands behind it; known of the newest row alone."""
        if n_after > 0:
            return np.empty(0, np.float32)
        return self._tried.attention(0)[-(self.pos + self._n_open) :]

    def _token_embedding(self, token: int) -> Rows:
        return self._read.token_embedding(token)
