# SPDX-License-Identifier: Apache-2.0
"""Translation in one go: words are read, words are written, and nothing is computed twice.

It is for models that were trained for it. Others do it too, and badly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgestream._native import GroupedLoop, InterleavedLoop
from edgestream.decoder.rows import token_rows
from edgestream.reader.model import ReaderModel
from edgestream.reader.translation.sentence_policy import SentencePolicy

Words = Callable[[Sequence[str], bool], list[int]]  # tokens of words, whether of a beginning


class StreamedTranslator:
    """A loop that reads so many words at a time and writes what its policy allows in between."""

    def __init__(
        self,
        model: ReaderModel,
        loop: GroupedLoop | InterleavedLoop,
        policy: SentencePolicy,
        tokens_of: Words,
        n_words: int = 1,
    ) -> None:
        """`tokens_of` gives the tokens of words that are read together, `n_words` of them or, at a
        sentence's end, fewer."""
        self._model, self._loop, self._policy = model, loop, policy
        self._tokens_of, self._n_words = tokens_of, n_words
        self._waiting: list[str] = []  # words short of a unit
        self._begins = True  # the next unit begins a sentence
        self._written: list[int] = []  # of the sentence

    def read(self, words: Sequence[str], *, last: bool) -> None:
        """Words of a sentence; `last`: it ends with them."""
        for i, word in enumerate(words):
            self._waiting.append(word)
            self._policy.is_over = last and i == len(words) - 1
            if self._policy.is_over or len(self._waiting) == self._n_words:
                self._push()

    def texts(self) -> tuple[str, str]:
        """The translation of the sentence: what is committed; nothing of that may change."""
        text = self._model.tokenizer.decode(self._written)
        return text, text

    def end(self) -> str:
        """The sentence is over: all of its translation is committed."""
        if not self._policy.is_over:  # the source ended within it
            self._policy.is_over = True
            if self._waiting:
                self._push()
            else:
                self._take(self._loop.finish()[0].tolist())
        text, _ = self.texts()
        self._written, self._begins = [], True
        self._policy.begin(self._loop)
        return text

    def _push(self) -> None:
        tokens = self._tokens_of(self._waiting, self._begins)
        self._waiting, self._begins = [], False
        written, _, _ = self._loop.push_unit(token_rows(self._model.weights, tokens))
        self._take(written.tolist())

    def _take(self, tokens: list[int]) -> None:
        self._written += tokens
