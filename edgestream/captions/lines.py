# SPDX-License-Identifier: Apache-2.0
"""Words to the lines of captions: the rules for every family of models.

A line ends with a sentence, at a pause, or where it would not fit a cue, then at the best place
before (line_breaks.py). It has four words or more unless somebody said less between two pauses:
so a line is closed when as many words behind its end are known, or a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from edgestream.captions.line_breaks import (
    COLUMNS,
    NEVER,
    SENTENCE,
    Unit,
    opened,
    place,
    text_of,
    words_in,
    wrapped,
)
from edgestream.captions.shown_text import columns, printable
from edgestream.captions.word_times import TimedWord
from edgestream.events import Final, Word

LINE_MS = 7000.0  # the longest that one caption stands, as broadcasters have it
LINE_WORDS = 4  # of a line, at the least
PAUSE_MS = 1500.0  # of silence, after which a line ends
# By how much a place is worse in the first half of a line or just before a sentence's end, and
# where it leaves a line of few words.
EARLY, FEW_WORDS = 2.5, 10.0


class Lines:
    """The line of one stream that is being spoken; words come with times of the source."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self.words: list[TimedWord] = []
        self._last: Final | None = None

    @property
    def text(self) -> str:
        """The line as far as it is known."""
        return text_of(_units(self.words))

    def push(self, word: TimedWord) -> list[Final]:
        """The next word to the lines that it closes."""
        lines: list[Final] = []
        if self.words and (word.lost or word.start_ms - self.words[-1].end_ms >= PAUSE_MS):
            lines = self.finish()
        self.words.append(word)
        while at := self._sentence() or self._full():
            lines += self._close(at)
        return lines

    def finish(self) -> list[Final]:
        """Nobody speaks on: all that is open."""
        lines: list[Final] = []
        while self.words:
            fits = _fits(self.words)
            at = len(self.words) if fits else self._cut(self._most(), n_behind=LINE_WORDS)
            lines += self._close(at)
        return lines

    def _sentence(self) -> int:
        """Where the first sentence ends that is long enough, with enough behind it; else 0."""
        units = _units(self.words)
        for at in range(1, len(units)):
            if place(units, at) != SENTENCE or words_in(units[:at]) < LINE_WORDS:
                continue
            return at if words_in(units[at:]) >= LINE_WORDS and _fits(self.words[:at]) else 0
        return 0

    def _full(self) -> int:
        """Where to end a line that does not fit, once enough words behind it are known; else 0."""
        if _fits(self.words):
            return 0
        most = self._most()
        known = words_in(_units(self.words)[most:]) >= LINE_WORDS
        return self._cut(most) if known else 0

    def _most(self) -> int:
        """How many of the words fit at the most."""
        return next((n for n in range(len(self.words) - 1, 1, -1) if _fits(self.words[:n])), 1)

    def _cut(self, most: int, *, n_behind: int = 0) -> int:
        """The best end of a line of at most so many words, with `n_behind` or more behind it."""
        units = _units(self.words)
        ends = [at for at in range(1, len(units)) if place(units, at) == SENTENCE]

        def cost(at: int) -> tuple[float, int]:
            quality = place(units, at)
            rest = units[at : next((end for end in ends if end > at), len(units))]
            worse = EARLY * (columns(text_of(units[:at])) < COLUMNS)
            worse += EARLY * (quality != SENTENCE and words_in(rest) < LINE_WORDS)
            worse += FEW_WORDS * (words_in(units[:at]) < LINE_WORDS)
            worse += FEW_WORDS * (words_in(units[at:]) < n_behind)
            return quality + worse, -at

        return min(range(1, most + 1), key=cost)

    def _close(self, n: int) -> list[Final]:
        """The first words as a line, unless it is the one before once more."""
        units = _units(self.words[:n])
        words = tuple(
            Word(unit.text, word.start_ms, word.end_ms, word.emitted_ms)
            for unit, word in zip(units, self.words, strict=False)
        )
        del self.words[:n]
        line = Final(text_of(units), words, words[0].start_ms, words[-1].end_ms)
        last, self._last = self._last, line
        times = (line.text, line.start_ms, line.end_ms)
        return [] if last and times == (last.text, last.start_ms, last.end_ms) else [line]


def _units(words: Sequence[TimedWord]) -> list[Unit]:
    return [
        Unit(word.text if i else opened(word.text), word.spaced) for i, word in enumerate(words)
    ]


def _fits(words: Sequence[TimedWord]) -> bool:
    """Whether they make a cue, with no name cut at the end of its first line."""
    if words[-1].end_ms - words[0].start_ms > LINE_MS:
        return False
    return wrapped(_units(words), worst=NEVER - 1) is not None


def n_alike(known: str, text: str) -> int:
    """Characters at the start of `text` that are those of `known`, the words that are final."""
    pairs = zip(printable(known), text, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
