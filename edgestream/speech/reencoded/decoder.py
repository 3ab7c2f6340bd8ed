# SPDX-License-Identifier: Apache-2.0
"""An encoder-decoder for speech behind the decoder's interface, as the native loops drive it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream._native import Decoder, TokenAligner
from edgestream.speech.reencoded.language import LanguageEar
from edgestream.speech.reencoded.rules import HypothesisRules
from edgestream.speech.reencoded.weights import CODE, PAYLOAD, EncoderDecoderModel, Floats

MAX_PROPOSAL = 1024


class EncoderDecoder(Decoder):
    """One stream's window over an `EncoderDecoderModel`, driven by the native re-encoding loop.

    A row [1 + payload] is a token (column 0 holds it) or input (column 0 holds minus the count of
    its numbers; then a mel frame or samples). Nothing is computed before logits are wanted: then
    the window is encoded once, and the tokens that wait are one run.
    """

    def __init__(
        self,
        model: EncoderDecoderModel,
        rules: HypothesisRules,
        *,
        prompt: Sequence[int],
        ear: LanguageEar | None = None,
        look: bool = False,
    ) -> None:
        """`prompt` comes before every hypothesis. With an `ear` the language in it, behind the
        start, is the one that is heard. `look`: keep the cross-attention, for attention and
        heard_at()."""
        super().__init__(
            n_embd=PAYLOAD + model.payload, n_vocab=model.config.n_vocab, max_proposal=MAX_PROPOSAL
        )
        self.model, self._rules = model, rules
        self.prompt, self.ear = list(prompt), ear
        self._languages = list(model.config.languages.values())
        self._start = self.prompt.index(model.config.start)  # before it is text that came earlier
        first_time = model.config.first_time
        starts = first_time is not None and self.prompt[-1:] == [first_time]
        self._n_before = len(self.prompt) - starts  # of the tokens, before the hypothesis
        self._look, self._aligner = look and bool(model.aligned_heads), TokenAligner()
        self._n_cached = 0  # tokens whose keys and values are in the cache
        self._reset()

    @property
    def language(self) -> int | None:
        """Token of the language that was heard last, or given; None: the model knows one alone."""
        return self.prompt[self._start + 1] if self._languages else None

    @property
    def language_is_sure(self) -> bool:
        """Whether the windows to come are in it as well."""
        return self.ear is None or self.ear.is_sure

    @property
    def window(self) -> Floats:
        """The rows of input [n, 1 + payload] that were taken since the window was empty."""
        return np.concatenate(self._window)

    def _step(self, rows: list[Floats], logits: str) -> Floats:
        """Takes rows of the window or of tokens; float32 logits [0, 1 or n, n_vocab]."""
        n_rows = 0
        for together in rows:
            n_rows += len(together)
            codes = together[:, CODE]
            if (codes < 0).any():
                self._window.append(np.array(together[codes < 0]))
            self._tokens += [int(code) for code in codes[codes >= 0]]
        if logits == "none":
            return np.empty((0, self.n_vocab), np.float32)
        n_wanted = n_rows if logits == "every" else 1
        result = self._compute()[-n_wanted:]
        first = len(self._tokens) - n_wanted
        for i, row in enumerate(result):
            self._rule(row, first + i + 1)
        return result

    def _take_back(self, n_rows: int) -> None:
        """The newest tokens were never taken."""
        del self._tokens[len(self._tokens) - n_rows :]
        self._n_cached = min(self._n_cached, len(self._tokens))
        del self._seen[self._n_cached :]

    def _token_embedding(self, token: int) -> Floats:
        """The row of a token, float32 [n_embd]."""
        row = np.zeros(self.n_embd, np.float32)
        row[CODE] = token
        return row

    def _attention(self, n_after: int) -> Floats:
        """How the row before the newest `n_after` looks at those before it, float32 [n]: the mean
        of the aligned heads, each row of the encoder spread over the input that it heard."""
        n_tokens = len(self._tokens) - n_after
        if not 0 < n_tokens <= len(self._seen):
            return np.empty(0, np.float32)
        n_input, weights = self._n_input, self._seen[n_tokens - 1].mean(0)
        places = np.arange(n_input) * len(weights) // n_input
        return np.concatenate([weights[places], np.zeros(n_tokens, np.float32)])

    def heard_at(self, n: int) -> NDArray[np.int32]:
        """Input rows of the window at which the newest `n` tokens begin, and last the one at which
        what follows them would, int32 [n + 1]; empty where that is not known."""
        first = len(self._tokens) - n
        if not self._look or len(self._seen) != len(self._tokens) or first < len(self.prompt):
            return np.empty(0, np.int32)
        seen = np.stack(self._seen[self._start :], 1)  # text that came before is not heard
        seen /= seen.sum(2, keepdims=True) + 1e-9  # over what was heard alone
        begins = self._aligner.align(seen, n_before=len(self.prompt) - self._start - 1)
        rows = begins * self._n_input // seen.shape[2]
        return np.asarray(rows[first - len(self.prompt) :], np.int32)

    @property
    def _n_input(self) -> int:
        return sum(len(rows) for rows in self._window)

    def _fork(self) -> EncoderDecoder:
        """A second stream with the same past."""
        other = EncoderDecoder(
            self.model, self._rules, prompt=self.prompt, ear=copy(self.ear), look=self._look
        )  # fmt: skip
        other._seen = list(self._seen)
        other._window = list(self._window)
        other._tokens, other._states, other._cache = list(self._tokens), self._states, self._cache
        other._n_cached, other._silent = self._n_cached, self._silent
        return other

    def _reset(self) -> None:
        """An empty window; the language stays."""
        self._window: list[Floats] = []
        self._tokens: list[int] = []
        self._states: NDArray[Any] = np.empty((1, 0, 0))  # of the encoder; none yet
        self._cache: dict[str, NDArray[Any]] = {}
        self._seen: list[Floats] = []  # [n_heads, rows that heard] of each token in the cache
        self._n_cached = 0
        self._silent = False

    def _rule(self, row: Floats, n_tokens: int) -> None:
        """Rules and guards for the logits after `n_tokens` tokens."""
        if self._silent or n_tokens >= self.model.config.max_tokens:
            self._rules.end(row)
        else:
            self._rules.apply(row, self._tokens[self._n_before : n_tokens])

    def _compute(self) -> Floats:
        """Logits of the tokens that were not computed yet [n, n_vocab]."""
        n = len(self._tokens) - self._n_cached
        if self._silent:
            return np.zeros((n, self.n_vocab), np.float32)
        if not self._states.size:
            self._states = self.model.encode(np.concatenate(self._window))
            return self._open(n)
        rows = [self._next(i) for i in range(self._n_cached, len(self._tokens))]
        return np.concatenate(rows)

    def _open(self, n: int) -> Floats:
        """The first run of a window: every token so far."""
        if self.language is not None:
            self._tokens[self._start + 1] = self.language
        logits = self._run_all()
        if self.ear is not None and not self.ear.is_sure:
            before = self.language
            self._hear_language(self.ear, logits[self._start])
            logits = logits if self.language == before else self._run_all()
        self._silent = self._rules.is_silent(logits[self._start])
        beyond = np.zeros((n - len(logits), self.n_vocab), np.float32)
        return np.concatenate([logits, beyond])

    def _run_all(self) -> Floats:
        """Logits of all tokens [n, n_vocab], without a cache; so many as the model can have."""
        tokens = self._tokens[: self.model.config.max_tokens]
        logits, self._cache, seen = self.model.decode(tokens, self._states, {}, look=self._look)
        self._n_cached, self._seen = len(tokens), []
        self._remember(seen)
        return logits

    def _hear_language(self, ear: LanguageEar, logits: Floats) -> None:
        """Puts the language of the window where it belongs. `logits` [n_vocab] are those after the
        start; text before the start would lead the model, so then it is asked without."""
        if self._start:
            logits = self.model.decode([self.model.config.start], self._states, {}).logits[0]
        heard = self._languages[ear.hear(logits[self._languages], self._n_input)]
        self.prompt[self._start + 1] = self._tokens[self._start + 1] = heard

    def _next(self, i: int) -> Floats:
        """The logits after token i, with the keys and values of those before it."""
        if i >= self.model.config.max_tokens:
            return np.zeros((1, self.n_vocab), np.float32)
        past = {
            name: array[:, :, :i] if ".decoder." in name else array
            for name, array in self._cache.items()
        }
        logits, present, seen = self.model.decode(
            [self._tokens[i]], self._states, past, look=self._look
        )
        self._cache |= present
        self._n_cached = i + 1
        self._remember(seen)
        return logits

    def _remember(self, seen: Floats) -> None:
        """Attention [n_heads, n, encoder rows] of tokens that entered the cache."""
        if self._look:
            n_heard = self.model.heard_rows(self._n_input, seen.shape[2])
            self._seen += list(seen[:, :, :n_heard].transpose(1, 0, 2))
