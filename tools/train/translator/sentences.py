# SPDX-License-Identifier: Apache-2.0
"""Sentences of the toy language pair, drawn by chance: python sentences.py [COUNT [SEED]]

Of each French word it is known which English word has to be read before it can be written.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import frames
import more_frames
from french import French, joined, written

HELD_OUT_ONE_IN = 50


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence in both languages. The last words have the punctuation."""

    english: list[str]  # words as they stand between spaces
    french: list[French]  # tokens; `needs` is a number in `english`

    @property
    def source(self) -> str:
        """The English text."""
        return " ".join(self.english)

    @property
    def target(self) -> str:
        """The French text."""
        return written(self.french)

    @property
    def held_out(self) -> bool:
        """Whether it is kept for tests: one in fifty, chosen by its text."""
        return zlib.crc32(self.source.lower().encode()) % HELD_OUT_ONE_IN == 0


# How often each kind of sentence is drawn.
KINDS: list[tuple[Callable[[Random], frames.Frame], float]] = [
    (frames.statement, 8),
    (frames.with_pronoun, 4),
    (frames.gift, 3),
    (frames.question, 4),
    (frames.of_what_or_who, 2),
    (frames.movement, 3),
    (more_frames.state, 4),
    (more_frames.there_is, 2),
    (more_frames.request, 3),
    (more_frames.two_clauses, 2),
    (more_frames.fixed, 0.5),
]


def draw(rng: Random) -> Pair:
    """One sentence."""
    kinds, weights = zip(*KINDS, strict=True)
    frame = rng.choices(kinds, weights)[0](rng)
    english = [frame.english[0][0].upper() + frame.english[0][1:], *frame.english[1:]]
    for at in frame.commas:
        english[at] += ","
    english[-1] += frame.end
    words = joined(frame.french)
    first = words[0]
    capital = first.text[0].upper() + first.text[1:]
    words[0] = French(capital, first.needs)
    last = len(english) - 1
    words.append(French(frame.end, last, glued=frame.end == "."))
    return Pair(english, words)


def stream(rng: Random, held_out: bool) -> Pair:
    """The next sentence that is, or is not, kept for tests."""
    while True:
        pair = draw(rng)
        if pair.held_out == held_out:
            return pair


def main() -> None:
    count, seed = (int(a) for a in (*sys.argv[1:], "20", "0")[:2])
    rng = Random(seed)
    for _ in range(count):
        pair = draw(rng)
        print(f"{pair.source}\n    {pair.target}")


if __name__ == "__main__":
    main()
