# SPDX-License-Identifier: Apache-2.0
"""Words as they are said, and how far two of them are from each other."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from edgestream.captions.numbers import number_words

PARTS = re.compile(r"\d[\d,.]*(?:st|nd|rd|th|s)?(?![^\W_])|[^\W\d_]+|\d+")
# English spellings of one sound; in this order.
ALIKE = (
    ("^kn", "n"), ("^wr", "r"), ("^wh", "w"), ("ph", "f"), ("ght", "t"), ("ck", "k"), ("sch", "sh"),
    ("c(?=[eiy])", "s"), ("c(?!h)", "k"), ("qu", "kw"), ("q", "k"), ("x", "ks"), ("z", "s"),
    ("ea|ee|ie|ei(?!g)|y$", "i"), ("oo|ou", "u"), ("ai|ay|ey|eigh?", "e"), ("y", "i"),
    ("(?<=[^aeiou])e(?=s?$)", ""), ("mb$", "m"),
)  # fmt: skip


def said(text: str) -> list[str]:
    """The words of a text as they are said: lower case, without signs and accents, numbers in
    words. `"Café No. 21"` gives `cafe no twenty one`."""
    plain = unicodedata.normalize("NFKD", text.replace("'", "").replace("\u2019", ""))
    letters = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    words: list[str] = []
    for part in PARTS.findall(letters):
        words += number_words(part.rstrip(".,")) or [part]
    return words


@lru_cache(maxsize=4096)
def sound(word: str) -> str:
    """A key that words which sound alike share: `night` and `knight`, `anna` and `ana`."""
    for spelling, heard in ALIKE:
        word = re.sub(spelling, heard, word)
    return re.sub(r"(.)\1", r"\1", word)


@lru_cache(maxsize=4096)
def distance(one: str, other: str) -> int:
    """Letters to be changed, added or dropped to make one word of the other, as it is written or as
    it sounds, whichever are fewer; 0 where they sound alike."""
    return min(_edits(one, other), _edits(sound(one), sound(other)))


def _edits(one: str, other: str) -> int:
    """The edit distance (Levenshtein 1966)."""
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b)))
        above = row
    return above[-1]
