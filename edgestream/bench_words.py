# SPDX-License-Identifier: Apache-2.0
"""Which words were right, and when each of them was shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgestream.events import Draft, Event, Final

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
Pair = tuple[int | None, int | None]


def spoken_words(text: str) -> list[str]:
    """The words of a text in lower case; punctuation is dropped, apostrophes inside stay."""
    return WORD.findall(text.lower())


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """Pairs of positions (reference, hypothesis) of an alignment with the fewest word errors.

    (i, j) is a match or a substitution, (i, None) a missing word, (None, j) one too many.
    Memory is four bytes times the product of the lengths.
    """
    numbers: dict[str, int] = {}
    ref = [numbers.setdefault(word, len(numbers)) for word in reference]
    hyp = np.array([numbers.setdefault(word, len(numbers)) for word in hypothesis], np.int32)
    along = np.arange(len(hyp) + 1, dtype=np.int32)
    rows = np.empty((len(ref) + 1, len(hyp) + 1), np.int32)  # edit distances of all prefixes
    rows[0] = along
    for i, number in enumerate(ref):
        best = rows[i] + 1
        best[1:] = np.minimum(best[1:], rows[i, :-1] + (hyp != number))
        # Words too many cost one each from the best column before: a running minimum.
        rows[i + 1] = np.minimum.accumulate(best - along) + along
    pairs: list[Pair] = []
    i, j = len(ref), len(hyp)
    while i or j:
        differ = i > 0 and j > 0 and ref[i - 1] != hyp[j - 1]
        if i and j and rows[i, j] == rows[i - 1, j - 1] + differ:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and rows[i, j] == rows[i - 1, j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


@dataclass(slots=True)
class Score:
    """Word errors over reference words, added up over texts (corpus level)."""

    errors: int = 0
    words: int = 0

    def add(self, reference: Sequence[str], hypothesis: Sequence[str]) -> None:
        """Counts substitutions, missing words and words too many."""
        for i, j in align(reference, hypothesis):
            self.errors += i is None or j is None or reference[i] != hypothesis[j]
        self.words += len(reference)

    @property
    def wer(self) -> float:
        """Word error rate, 0 and up."""
        return self.errors / max(self.words, 1)


@dataclass(frozen=True, slots=True)
class ShownWord:
    """A word and when it was first shown with the letters that it kept.

    `heard_ms` of the source had been heard then; `done_ms` adds the time that computing took.
    """

    text: str
    heard_ms: float
    done_ms: float


class Watch:
    """Reads captions as a person does: notes when each word appeared in its last form."""

    def __init__(self) -> None:
        self.words: list[ShownWord] = []  # of finished lines
        self._line: list[ShownWord] = []

    def push(self, events: Sequence[Event], heard_ms: float, done_ms: float) -> None:
        """Takes the events that came when `heard_ms` were heard, shown at `done_ms`."""
        for event in events:
            if isinstance(event, (Draft, Final)):
                texts = spoken_words(event.text)
                del self._line[len(texts) :]
                for i, text in enumerate(texts):
                    if i == len(self._line):
                        self._line.append(ShownWord(text, heard_ms, done_ms))
                    elif self._line[i].text != text:
                        self._line[i] = ShownWord(text, heard_ms, done_ms)
            if isinstance(event, Final):
                self.words += self._line
                self._line = []
