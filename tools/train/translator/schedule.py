# SPDX-License-Identifier: Apache-2.0
"""When each French token of a stream is written, in English words read before it.

A stream is several sentences, one behind the other. Each training example has a schedule drawn by
chance, so that the model serves any policy (multi-path wait-k, Elbayad et al. 2020, "Efficient
Wait-k Models for Simultaneous Machine Translation").
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sentences import Pair
from toy_vocabulary import END, Vocabulary

MOST_K, WHOLE = 9, 1_000  # words; a whole sentence


@dataclass(frozen=True, slots=True)
class Token:
    """A token to write: of a French word, or END behind a sentence."""

    token: int
    read: int  # words of the stream that are read before
    needs: int  # number of the last word that has to be read


@dataclass(frozen=True, slots=True)
class Pace:
    """How one sentence is written."""

    k: int  # wait-k; or, if `aligned`, words read behind the one that a token needs
    aligned: bool = False
    flush: bool = True  # all is written once the sentence's last word is read

    def read(self, t: int, needs: int, n_words: int) -> int:
        """Words of the sentence that are read before token `t`, maybe more than it has."""
        read = needs + 1 + self.k if self.aligned else self.k + t
        return min(read, n_words) if self.flush or self.k >= WHOLE else read


def draw_paces(rng: Random, n_sentences: int) -> list[Pace]:
    """A pace for each sentence; for most streams one for all."""

    def one() -> Pace:
        chance = rng.random()
        flush = rng.random() < 0.75
        if chance < 0.15:
            return Pace(WHOLE)
        if chance < 0.45:
            return Pace(rng.randint(0, 3), aligned=True, flush=flush)
        return Pace(rng.randint(0, MOST_K), flush=flush)

    if rng.random() < 0.7:
        return [one()] * n_sentences
    return [one() for _ in range(n_sentences)]


def lay_out(pairs: list[Pair], paces: list[Pace], vocabulary: Vocabulary) -> list[Token]:
    """All tokens of a stream in order. After END at least one more word is read."""
    tokens: list[Token] = []
    total = sum(len(pair.english) for pair in pairs)
    base = at = 0
    for pair, pace in zip(pairs, paces, strict=True):
        at = min(max(at + 1, base + 1), total)
        for t, (token, word) in enumerate(zip(vocabulary.target(pair), pair.french, strict=True)):
            read = base + pace.read(t, word.needs, len(pair.english))
            at = max(at, min(read, total))
            tokens.append(Token(token, at, base + word.needs))
        base += len(pair.english)
        tokens.append(Token(END, at, base - 1))
    return tokens
