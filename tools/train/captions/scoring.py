# SPDX-License-Identifier: Apache-2.0
"""Word errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from speech import spoken_words


def word_errors(wanted: list[str], got: list[str]) -> int:
    """Substitutions, deletions and insertions: the Levenshtein distance over words."""
    row = np.arange(len(got) + 1)
    for i, word in enumerate(wanted, 1):
        above, row = row, row.copy()
        row[0] = i
        for j, other in enumerate(got, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other))
    return int(row[-1])


@dataclass
class Score:
    """Errors over words, added up."""

    errors: int = 0
    words: int = 0

    def add(self, wanted: str, got: str) -> int:
        """Counts one text and returns its errors; case and punctuation do not count."""
        reference = spoken_words(wanted.lower())
        errors = word_errors(reference, spoken_words(got.lower()))
        self.errors += errors
        self.words += len(reference)
        return errors

    @property
    def wer(self) -> float:
        """Word error rate, 0 and up."""
        return self.errors / max(self.words, 1)
