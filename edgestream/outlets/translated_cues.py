# SPDX-License-Identifier: Apache-2.0
"""Subtitles of a translation: alone, or below the words that it translates."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice

from edgestream.captions.shown_text import columns, printable
from edgestream.events import Event, Final, Gap, Translation, Word
from edgestream.outlets.cues import SHORTEST_CUE_MS, Cue, CueCutter, lines_of

HOLD_MS = 60_000.0  # how long words wait for their translation; it may never come


class BothCutter:
    """Cues of two lines: what was said, and its translation below it.

    Words wait until their translation is there, HOLD_MS at most; those that have none stand alone.
    So every word of the Finals comes once, in order. (Where the translation takes more lines than
    the words, their last line stays for as long.) A translation that comes when its words are gone
    and something later is shown is left out.
    """

    def __init__(self, *, patient: bool = False) -> None:
        """`patient`: words wait for as long as it takes, where the source runs ahead."""
        self._hold_ms = math.inf if patient else HOLD_MS
        self._alone = CueCutter()  # of words without a translation
        self._waiting: deque[Word] = deque()
        self._ends_ms: deque[float] = deque()  # of the line of each
        self._early: list[Translation] = []  # before the line in which their words end
        self._end_ms = 0  # of the newest cue

    def push(self, event: Event) -> list[Cue]:
        """The cues that are whole by now."""
        if isinstance(event, Final):
            return self._final(event)
        if isinstance(event, Translation):
            if self._early or self._n_begun(event):
                self._early.append(event)
                return []
            return self._pair(event)
        return self._pair_early() if isinstance(event, Gap) else []

    def finish(self) -> list[Cue]:
        """What waits has no translation."""
        return self._pair_early() + self._words_alone(len(self._waiting))

    def _final(self, event: Final) -> list[Cue]:
        words = _words(event)
        source = printable(self._early[0].source).split() if self._early else []
        cues = self._pair_early() if self._find(source, words) is None else []
        self._waiting += words
        self._ends_ms += [event.end_ms] * len(words)
        early, self._early = self._early, []
        cues += [cue for each in early for cue in self.push(each)]  # the last may wait again
        n_late = sum(end_ms < event.end_ms - self._hold_ms for end_ms in self._ends_ms)
        return cues + self._words_alone(n_late)

    def _pair_early(self) -> list[Cue]:
        """No more of their words comes."""
        early, self._early = self._early, []
        return [cue for event in early for cue in self._pair(event)]

    def _n_begun(self, event: Translation) -> int:
        """How many of its first words are the last that wait, where they are not all of them."""
        source = printable(event.source).split()
        if self._find(source) is not None:
            return 0
        texts = [word.text for word in islice(reversed(self._waiting), len(source))][::-1]
        return next((n for n in range(len(texts), 0, -1) if texts[-n:] == source[:n]), 0)

    def _pair(self, event: Translation) -> list[Cue]:
        source = printable(event.source).split()
        if n_begun := self._n_begun(event):  # the rest is lost
            source = source[:n_begun]
        at = self._find(source)
        if at is None:
            if round(event.start_ms) < self._end_ms:  # it was said too long ago
                return []
            return self._timed(event.start_ms, event.end_ms, _rows(event.text), [])
        before = self._words_alone(at)
        self._take(len(source))
        rows = _rows(" ".join(source))
        return before + self._timed(event.start_ms, event.end_ms, rows, _rows(event.text))

    def _find(self, source: list[str], more: Sequence[Word] = ()) -> int | None:
        """Where these words wait, one behind the other; `more` come behind what waits."""
        texts = [word.text for word in chain(self._waiting, more)]
        for at in range(len(texts) - len(source) + 1):
            if texts[at : at + len(source)] == source:
                return at
        return None

    def _take(self, n_words: int) -> tuple[Word, ...]:
        for _ in range(n_words):
            self._ends_ms.popleft()
        return tuple(self._waiting.popleft() for _ in range(n_words))

    def _words_alone(self, n_words: int) -> list[Cue]:
        if not n_words:
            return []
        words = self._take(n_words)
        text = " ".join(word.text for word in words)
        cues = self._alone.push(Final(text, words, words[0].start_ms, words[-1].end_ms))
        last_ms = max(round(words[-1].end_ms), cues[-1].start_ms) if cues else 0  # no longer
        return [self._in_order(replace(cue, end_ms=min(cue.end_ms, last_ms))) for cue in cues]

    def _timed(
        self, start_ms: float, end_ms: float, above: list[str], below: list[str]
    ) -> list[Cue]:
        """A cue for each pair of lines; each has its share of the time."""
        n_cues = max(len(above), len(below))
        pairs = [_at(above, i, n_cues) + _at(below, i, n_cues) for i in range(n_cues)]
        widths = [sum(columns(line) for line in pair) for pair in pairs]
        cues, at = [], 0
        for pair, width in zip(pairs, widths, strict=True):
            begin_ms = start_ms + (end_ms - start_ms) * at / sum(widths)
            at += width
            until_ms = start_ms + (end_ms - start_ms) * at / sum(widths)
            cues.append(self._in_order(Cue(round(begin_ms), round(until_ms), pair)))
        return cues

    def _in_order(self, cue: Cue) -> Cue:
        start_ms = max(cue.start_ms, self._end_ms)
        self._end_ms = max(cue.end_ms, start_ms + SHORTEST_CUE_MS)
        return Cue(start_ms, self._end_ms, cue.lines)


def _rows(text: str) -> list[str]:
    """Of a text that can be seen; others have none."""
    rows = [line for lines in lines_of(Final(text, (), 0.0, 0.0)) for line in lines]
    return [line for line in rows if columns(line)]


def _at(rows: list[str], index: int, n_cues: int) -> tuple[str, ...]:
    return (rows[index * len(rows) // n_cues],) if rows else ()


def _words(final: Final) -> list[Word]:
    """The words of a line; where they have no times of their own, as if all took as long."""
    texts = printable(final.text).split()
    if [word.text for word in final.words] == texts:
        return list(final.words)
    step_ms = (final.end_ms - final.start_ms) / max(1, len(texts))
    starts_ms = [final.start_ms + i * step_ms for i in range(len(texts))]
    return [
        Word(text, at, at + step_ms, at + step_ms)
        for text, at in zip(texts, starts_ms, strict=True)
    ]
