# SPDX-License-Identifier: Apache-2.0
"""Translation by a model that was trained on whole sentences, as any LLM was."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream._native import LoopConfig, ReencodedLoop, RingDecoder
from edgestream.decoder.rows import token_rows
from edgestream.reader.translation.decoder import SentenceDecoder
from edgestream.reader.translation.phrasing import Phrasing
from edgestream.reader.translation.setting import Setting

WINDOW = 512  # rows that are remembered: this sentence, and those before it with their translations
LONGEST = 128  # tokens that a translation goes on with behind what is committed of it
MOST = 256  # tokens of the translation of a sentence; a model that writes more has lost its way
N_DRAFT = 15  # tokens of the last translation that are verified at once
MOST_ROWS = 1 << 20  # of a sentence; it is cut long before


class ReencodedTranslator:
    """For each word the sentence so far is translated anew behind what was committed of that; the
    policy says how much more of it is. The translation before is a draft, verified in a batch.

    When a sentence is over it stays in memory with its translation, as an example for the next.
    """

    def __init__(self, setting: Setting, phrasing: Phrasing) -> None:
        """Where the policy looks at attention nothing is drafted.

        Raises UsageError where the prompt and the window do not fit the model.
        """
        self._model, self._phrasing = setting.model, phrasing

        def memory() -> RingDecoder:
            return self._model.ring(
                n_sinks=len(phrasing.prompt), window=WINDOW, n_threads=setting.n_threads,
                attention_layers=setting.attention_layers,
            )  # fmt: skip

        self._decoder = SentenceDecoder(memory, token_rows(self._model.weights, phrasing.prompt))
        self._loop = ReencodedLoop(
            self._decoder,
            setting.policy.policy,
            LoopConfig(
                max_tokens_per_unit=LONGEST,
                end_of_turn=phrasing.ends,
                begins_word=setting.begins_word,
            ),
            max_rows=MOST_ROWS,
            keep_rows=MOST_ROWS,
            after_window=phrasing.opens,
            max_hypothesis=LONGEST,
            n_hypotheses=setting.policy.n_hypotheses,
            n_draft=0 if setting.attention_layers else N_DRAFT,
        )
        self._n_words = 0
        self._written: list[int] = []

    def read(self, words: Sequence[str], *, last: bool) -> None:
        """Words of a sentence; `last`: it ends with them."""
        tokens: list[int] = []
        for word in words:
            tokens += self._phrasing.word(word, first=self._n_words == 0)
            self._n_words += 1
        rows = token_rows(self._model.weights, tokens)
        self._decoder.read(rows)
        if len(self._written) >= MOST:
            return
        written, _, _ = self._loop.push_unit(rows)
        self._written += written.tolist()

    def texts(self) -> tuple[str, str]:
        """The translation of the sentence: what is committed, and that with what may change."""
        decode = self._model.tokenizer.decode
        return decode(self._written), decode(self._whole())

    def end(self) -> str:
        """The sentence is over: all of its translation is committed."""
        whole = self._whole()
        self._loop.reset()
        self._written, self._n_words = [], 0
        pair = [*self._phrasing.opens, *whole, *self._phrasing.closes]
        self._decoder.end_sentence(token_rows(self._model.weights, pair))
        return self._model.tokenizer.decode(whole)

    def _whole(self) -> list[int]:
        room = max(0, MOST - len(self._written))
        return [*self._written, *self._loop.hypothesis[:room]]
