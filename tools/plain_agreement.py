# SPDX-License-Identifier: Apache-2.0
"""LocalAgreement-2 as Whisper-Streaming has it (Macháček et al. 2023): the baseline of a benchmark.

Each second the whole window is encoded and decoded from its start, token by token: what was
committed before is decoded again, and no hypothesis is a draft of the next one. Window, rules,
graphs and the places at which sound leaves are those of edgestream, so that outputs can be equal.
"""

from __future__ import annotations

import numpy as np

from edgestream.hypothesis_rules import HypothesisRules
from edgestream.reencoded_model import MAX_HYPOTHESIS, PLACE_ROWS, ReencodedModel


class PlainAgreement:
    """One stream: input rows of a unit in, committed tokens out."""

    def __init__(self, model: ReencodedModel, prompt: list[int]) -> None:
        self.model, self.prompt = model, prompt
        self.rules = HypothesisRules(model.config, model.token_bytes, times=True)
        self.first_time = model.config.first_time
        self.window = np.empty((0, 2 + model.weights.payload), np.float32)
        self.committed: list[int] = []  # that have not left with their sound
        self.earlier: list[int] = []  # the hypothesis before, whole

    def push(self, rows: np.ndarray) -> list[int]:
        """Rows [unit_rows, 2 + payload] to the tokens that two hypotheses agree on now."""
        self.window = np.concatenate([self.window, rows])
        self._leave()
        hypothesis, n = self._decode(), len(self.committed)
        while n < min(len(hypothesis), len(self.earlier)) and hypothesis[n] == self.earlier[n]:
            n += 1
        new = hypothesis[len(self.committed) : n]
        self.committed, self.earlier = self.committed + new, hypothesis
        return new

    def finish(self) -> list[int]:
        """What is left of the last hypothesis."""
        return self.earlier[len(self.committed) :]

    def _decode(self) -> list[int]:
        weights, config = self.model.weights, self.model.config
        states = weights.encode(self.window)
        logits, cache, _ = weights.decode(self.prompt, states, {})
        written: list[int] = []
        while len(written) < MAX_HYPOTHESIS:
            scores = logits[-1]
            self.rules.apply(scores, written)
            token = int(scores.argmax())
            if token == config.end:
                break
            written.append(token)
            logits, present, _ = weights.decode([token], states, cache)
            cache |= present
        return written

    def _leave(self) -> None:
        """Sound before the last committed end of a segment, once the window is long."""
        if len(self.window) <= self.model.window.keep_ms // 10:
            return
        ends = [
            i for i in range(1, len(self.committed))
            if self._is_time(self.committed[i]) and not self._is_time(self.committed[i - 1])
        ]  # fmt: skip
        if not ends:
            return
        n_places = self.committed[ends[-1]] - self.first_time
        self.window = self.window[n_places * PLACE_ROWS :]
        n_gone = ends[-1] + 1
        self.committed = [self._moved(t, n_places) for t in self.committed[n_gone:]]
        self.earlier = [self._moved(t, n_places) for t in self.earlier[n_gone:]]

    def _is_time(self, token: int) -> bool:
        return token >= self.first_time

    def _moved(self, token: int, n_places: int) -> int:
        return max(self.first_time, token - n_places) if self._is_time(token) else token
