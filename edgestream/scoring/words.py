# SPDX-License-Identifier: Apache-2.0
"""The words of a text as every system's words are compared, and which of them were right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgestream.captions.numbers import BEFORE_AND, PARTS, number_words

# A number with all that belongs to it, a word with apostrophes inside, or a sign that is said.
TOKEN = re.compile(
    r"\d+(?:,\d{3})*(?:\.\d+)?(?:st|nd|rd|th|s)?(?![^\W_])|[^\W_]+(?:'[^\W_]+)*|[&%]"
)
# What is said alike and written in two ways, American spelling and whole words for both.
SPELLINGS = {
    "centre": "center", "colour": "color", "favour": "favor", "grey": "gray", "honour": "honor",
    "labour": "labor", "neighbour": "neighbor", "programme": "program", "theatre": "theater",
    "dr": "doctor", "mr": "mister", "mrs": "missus", "ok": "okay", "st": "saint",
    "&": "and", "%": "percent",
}  # fmt: skip
Pair = tuple[int | None, int | None]


def spoken_words(text: str) -> list[str]:
    """The words of a text, the same for all ways to write them.

    Lower case; punctuation and hyphens part words and are dropped, apostrophes inside stay; the
    spellings of SPELLINGS are one; numbers in digits are the words that are said for them
    (`bench_numbers`), without the "and" of "one hundred and five".
    """
    return [word for word, _ in spoken_parts([text])]


def spoken_parts(texts: Sequence[str]) -> list[tuple[str, int]]:
    """`spoken_words` of texts that follow each other, each with the position of its text."""
    found: list[tuple[str, int]] = []
    for place, text in enumerate(texts):
        for token in TOKEN.findall(text.lower().replace("\u2019", "'")):
            words = number_words(token) or [SPELLINGS.get(token, token)]
            found += [(word, place) for word in words]
    return [pair for i, pair in enumerate(found) if not _is_and_of_a_number(found, i)]


def _is_and_of_a_number(found: Sequence[tuple[str, int]], i: int) -> bool:
    return (
        found[i][0] == "and"
        and 0 < i < len(found) - 1
        and found[i - 1][0] in BEFORE_AND
        and found[i + 1][0] in PARTS
    )


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


def matches(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of `align` whose words are the same."""
    return [
        (i, j)
        for i, j in align(reference, hypothesis)
        if i is not None and j is not None and reference[i] == hypothesis[j]
    ]


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
