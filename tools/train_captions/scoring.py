# SPDX-License-Identifier: Apache-2.0
"""Word errors, and tokens back to text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from shape import UNKNOWN
from speech import spoken_words
from tokenizers import Tokenizer


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

    def add(self, wanted: str, got: str) -> None:
        """Counts one text; case and punctuation do not count."""
        reference = spoken_words(wanted)
        self.errors += word_errors(reference, spoken_words(got))
        self.words += len(reference)

    @property
    def wer(self) -> float:
        """Word error rate, 0 and up."""
        return self.errors / max(self.words, 1)


class Detokenizer:
    """Written tokens to text."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))

    def text(self, tokens: list[int]) -> str:
        """Text of tokens; PAD and the unknown token are left out."""
        return str(self._tokenizer.decode([t for t in tokens if t > UNKNOWN])).strip()
