# SPDX-License-Identifier: Apache-2.0
"""Tokens of the toy translator: whole words of both languages, and letters for all else.

A token that begins with the sign of SentencePiece for a space begins a word.
"""

from __future__ import annotations

import string
from random import Random

from french import French
from sentences import Pair, draw

SPACE = "▁"
UNKNOWN, END, GROUPED, INTERLEAVED = range(4)
CONTROL = ["<unk>", "<end>", "<grouped>", "<interleaved>"]
MARKS = ".,?"
LETTERS = [SPACE, *string.ascii_letters, *string.digits, *"'\u2019-!;:()\"àâçèéêëîïôùûüœÀÂÇÈÉÊÎÔ"]
DRAWN, DRAWN_SEED = 150_000, 1  # sentences whose words are the vocabulary


def english_texts(word: str) -> list[str]:
    """Texts of the tokens of a word with the punctuation that hangs on it."""
    mark = word[-1] if word[-1] in MARKS else ""
    return [SPACE + word.removesuffix(mark), *mark]


def french_text(word: French) -> str:
    """Text of the token of a French word."""
    return word.text if word.glued else SPACE + word.text


def make_vocabulary(drawn: int = DRAWN) -> list[str]:
    """All texts; a token's number is its place. The same every time."""
    rng = Random(DRAWN_SEED)
    english, french = set(MARKS), set[str]()
    for _ in range(drawn):
        pair = draw(rng)
        for word in pair.english:
            english.update(english_texts(word))
            english.update(english_texts(word.lower()))
        french.update(french_text(word) for word in pair.french)
    words = sorted(french) + sorted(english - french)
    return CONTROL + words + [letter for letter in LETTERS if letter not in english | french]


class Vocabulary:
    """Texts of tokens and their numbers."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.number = {text: i for i, text in enumerate(texts)}

    def units(self, pair: Pair) -> list[list[int]]:
        """Tokens of each English word."""
        return [[self.number[t] for t in english_texts(word)] for word in pair.english]

    def target(self, pair: Pair) -> list[int]:
        """Tokens of the French sentence."""
        return [self.number[french_text(word)] for word in pair.french]
