# SPDX-License-Identifier: Apache-2.0
"""LocalAgreement-2 as Whisper-Streaming has it (Macháček et al. 2023): the baseline of a benchmark.

Each second the whole window is encoded and decoded from its start, token by token: what was
committed before is decoded again, and no hypothesis is a draft of the next one. Window, rules,
guards, graphs and the places at which sound leaves are those of edgestream, so that outputs can be
equal.
"""

from __future__ import annotations

import numpy as np

from edgestream.speech.reencoded.decoder import EncoderDecoder
from edgestream.speech.reencoded.model import (
    CROWD_ROWS,
    CROWD_TOKENS,
    MAX_HYPOTHESIS,
    SENTENCE_ENDS,
    ReencodedModel,
    rows_in,
)


class PlainAgreement:
    """One stream: input rows of a unit in, committed tokens out."""

    def __init__(self, model: ReencodedModel, decoder: EncoderDecoder) -> None:
        """`decoder` is that of a stream of the model, with its prompt and rules."""
        self.model, self.decoder = model, decoder
        self.keep_rows = rows_in(model.window.keep_ms)
        self.window = np.empty((0, decoder.n_embd), np.float32)
        self.n_left = 0  # rows that have left the window
        self.committed: list[tuple[int, int]] = []  # that are in it: token, row at which it ended
        self.earlier: list[int] = []  # the hypothesis before, whole

    def push(self, rows: np.ndarray) -> list[int]:
        """Rows [unit_rows, 1 + payload] to the tokens that two hypotheses agree on now."""
        self.window = np.concatenate([self.window, rows])
        self._leave()
        hypothesis, places = self._decode()
        first = n = len(self.committed)
        while n < min(len(hypothesis), len(self.earlier)) and hypothesis[n] == self.earlier[n]:
            n += 1
        ends = [self.n_left + place for place in places[first + 1 : n + 1]]
        self.committed += zip(hypothesis[first:n], ends, strict=True)
        self.earlier = hypothesis
        return hypothesis[first:n]

    def finish(self) -> list[int]:
        """What is left of the last hypothesis."""
        return self.earlier[len(self.committed) :]

    def _decode(self) -> tuple[list[int], list[int]]:
        """The window's tokens without times, and the rows at which they begin, and one more."""
        decoder, config = self.decoder, self.model.config
        first_time = config.n_vocab if config.first_time is None else config.first_time
        decoder.reset()
        decoder.step_groups([(0, self.window)], logits="none")
        scores = decoder.step(self._rows(decoder.prompt))
        written: list[int] = []
        while len(written) < MAX_HYPOTHESIS and (token := int(scores.argmax())) != config.end:
            written.append(token)
            scores = decoder.step(self._rows([token]))
        words = [i for i, token in enumerate(written) if token < first_time]
        heard = decoder.heard_at(len(written))
        places = [int(heard[i]) for i in [*words, len(written)]]
        n = self._n_spoken(places)
        return [written[i] for i in words[:n]], places[: n + 1]

    @staticmethod
    def _n_spoken(places: list[int]) -> int:
        """How many tokens come before more than anybody says at once."""
        n_words = len(places) - 1
        for i in range(n_words + 1 - CROWD_TOKENS):
            if places[i + CROWD_TOKENS] - places[i] < CROWD_ROWS:
                return i
        return n_words

    def _rows(self, tokens: list[int]) -> np.ndarray:
        return np.array([self.decoder.token_embedding(token) for token in tokens])

    def _leave(self) -> None:
        """Sound before the end of the last committed sentence, once the window is long."""
        if len(self.window) <= self.keep_rows:
            return
        texts = self.model.token_bytes
        ends = [i for i, (t, _) in enumerate(self.committed) if texts[t].endswith(SENTENCE_ENDS)]
        if not ends:
            return
        n_gone = ends[-1] + 1
        n_rows = self.committed[ends[-1]][1] - self.n_left
        self.window, self.n_left = self.window[n_rows:], self.n_left + n_rows
        self.committed, self.earlier = self.committed[n_gone:], self.earlier[n_gone:]
