# SPDX-License-Identifier: Apache-2.0
"""Translation by a model that was trained on whole sentences, as any LLM was."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream._native import LoopConfig, ReencodedLoop
from edgestream.decoder.rows import token_rows
from edgestream.errors import computing
from edgestream.policy import ChosenPolicy
from edgestream.reader.model import ReaderModel
from edgestream.reader.translation.decoder import SentenceDecoder
from edgestream.reader.translation.phrasing import Phrasing

WINDOW = 512  # rows that are remembered: this sentence, and those before it with their translations
LONGEST = 128  # tokens of a translation
N_DRAFT = 15  # tokens of the last translation that are verified at once
MOST_ROWS = 1 << 20  # of a sentence; it is cut long before


class ReencodedTranslator:
    """For each word the whole sentence so far is translated; the policy says how much of that stays
    (re-translation with a forced prefix). The one before is a draft that is verified in a batch.

    When a sentence is over it stays in memory with its translation, as an example for the next.
    """

    def __init__(
        self,
        model: ReaderModel,
        phrasing: Phrasing,
        policy: ChosenPolicy,
        attention_layers: Sequence[int],
        *,
        n_threads: int,
    ) -> None:
        """Raises UsageError where the prompt and the window do not fit the model."""
        self._model, self._phrasing, self._policy = model, phrasing, policy
        ring = model.ring(
            n_sinks=len(phrasing.prompt), window=WINDOW, n_threads=n_threads,
            attention_layers=list(attention_layers),
        )  # fmt: skip
        with computing():
            ring.step_groups([(0, token_rows(model.weights, phrasing.prompt))], logits="none")
        self._decoder = SentenceDecoder(ring)
        self._loop = ReencodedLoop(
            self._decoder,
            policy.policy,
            LoopConfig(max_tokens_per_unit=LONGEST, end_of_turn=phrasing.ends),
            max_rows=MOST_ROWS,
            keep_rows=MOST_ROWS,
            after_window=phrasing.opens,
            max_hypothesis=LONGEST,
            n_hypotheses=policy.n_hypotheses,
            n_draft=0 if attention_layers else N_DRAFT,
        )
        self._begun = False
        self._written: list[int] = []

    def read(self, words: Sequence[str]) -> None:
        """Words of a sentence."""
        tokens: list[int] = []
        for word in words:
            tokens += self._phrasing.word(word, first=not self._begun)
            self._begun = True
        if not tokens:
            return
        rows = token_rows(self._model.weights, tokens)
        with computing():
            self._decoder.read(rows)
            written, _, _ = self._loop.push_unit(rows)
        self._written += written.tolist()

    def texts(self) -> tuple[str, str]:
        """The translation of the sentence: what stays of it, and with what may change."""
        decode = self._model.tokenizer.decode
        whole = [*self._written, *self._loop.hypothesis] if self._begun else []
        return decode(self._written), decode(whole)

    def end(self) -> str:
        """The sentence is over: the rest of its translation stays."""
        with computing():
            written, _, _ = self._loop.finish()
            self._written += written.tolist()
            phrasing = self._phrasing
            pair = [*phrasing.opens, *self._written, *phrasing.closes]
            self._decoder.keep(token_rows(self._model.weights, pair))
        text = self._model.tokenizer.decode(self._written)
        self._loop.reset()
        self._begun, self._written = False, []
        return text
