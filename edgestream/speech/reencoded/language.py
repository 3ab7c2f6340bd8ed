# SPDX-License-Identifier: Apache-2.0
"""Which language an utterance is in: heard in each of its windows until that is sure.

A Whisper scores all languages before it writes (Radford et al. 2022). Of the first second it knows
little: there it takes German for English or Latvian. What it thinks of all windows of the utterance
so far is averaged, weighted by the square of their lengths, and the language of the utterances
before gets a lead. So a doubtful window alone changes nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SURE = 0.8  # probability from which on a language is sure
LEAST_ROWS = 80  # of a window; a shorter one says next to nothing
MOST_ROWS = 400  # of a window, from which on the likeliest language has to do
LEAD = 2.0  # times as likely is the language of the utterances before

Floats = NDArray[np.float32]


class LanguageEar:
    """One stream's. Languages are numbers, in the order of the model's table."""

    def __init__(self, most_rows: int = MOST_ROWS) -> None:
        """Of a window of `most_rows`, rows of 10 ms, the language is sure in any case."""
        self._most_rows = most_rows
        self.forget()

    def forget(self) -> None:
        """Another stream begins, in any language."""
        self._before: int | None = None  # language of the utterances before
        self.begin()

    def begin(self) -> None:
        """An utterance begins. It may be in another language than those before."""
        self.is_sure = False
        self._evidence: NDArray[np.float64] | float = 0.0  # weighted log-probabilities, summed
        self._weights = 0  # of that sum

    def hear(self, logits: Floats, n_rows: int) -> int:
        """The likeliest language, by the model's logits [n_languages] of one more window of the
        utterance, of `n_rows`."""
        if self._before is not None and n_rows < LEAST_ROWS:
            return self._before
        self._evidence = self._evidence + n_rows**2 * _log_softmax(logits)
        self._weights += n_rows**2
        scores = self._evidence / self._weights
        if self._before is not None:
            scores[self._before] += np.log(LEAD)
        likeliest = int(scores.argmax())
        probability = np.exp(_log_softmax(scores)[likeliest])
        enough = n_rows >= LEAST_ROWS and probability >= SURE
        if enough or n_rows >= self._most_rows:
            self._before, self.is_sure = likeliest, True
        return likeliest


def _log_softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    shifted = np.asarray(logits, np.float64) - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))
