# SPDX-License-Identifier: Apache-2.0
"""Committed tokens of a re-encoded model to captions: bytes to words, words to lines, with times.

Where the cross-attention is known, each token begins where it was heard. Without it a word is known
to be older than the hypothesis in which it came, and its length is a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgestream.captions.clock import Clock
from edgestream.captions.line_breaks import opened
from edgestream.captions.lines import PAUSE_MS, Lines, n_alike
from edgestream.captions.shown_text import printable
from edgestream.captions.word_times import WordTimes, spoken_ms
from edgestream.captions.words import SpokenWord, WordBuilder
from edgestream.captions.writing_systems import is_mark
from edgestream.events import Draft, Event, Final

NO_DRAFT = ("", 0)  # text, and how many characters of it are final


class SegmentCaption:
    """Turns what one stream commits into Draft and Final events."""

    def __init__(self, token_bytes: Sequence[bytes], clock: Clock) -> None:
        self._token_bytes, self._clock = token_bytes, clock
        self._builder, self._times, self._lines = WordBuilder(), WordTimes(clock), Lines()
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        for stage in (self._builder, self._times, self._lines):
            stage.reset()
        self._whole: list[SpokenWord] = []  # words of this push that have no place yet
        self._draft = NO_DRAFT
        self._draft_ms: float | None = None  # source time at which a draft without words began

    def push(
        self,
        tokens: Sequence[int],
        hypothesis: Sequence[int],
        *,
        begins_ms: Sequence[float] = (),
        window_ms: float,
        known_ms: float,
        now_ms: float,
    ) -> list[Event]:
        """Tokens committed after a unit, and the hypothesis beyond them, which may change.

        `begins_ms`: the stream times at which they begin, and behind them that at which what
        follows begins; empty if unknown. `window_ms` is the stream time of the window's start; the
        tokens' words ended before `known_ms`, and `now_ms` has been heard.
        """
        if not self._builder.open:
            self._times.start_after(min(window_ms, now_ms))
        for i, token in enumerate(tokens):
            begin_ms, end_ms = None, known_ms
            if begins_ms:
                begin_ms, end_ms = (min(ms, now_ms) for ms in begins_ms[i : i + 2])
            self._whole += self._builder.push(
                self._token_bytes[token], begin_ms, end_ms, now_ms, first=False
            )
        events: list[Event] = [*self._written()]
        behind = b"".join(self._token_bytes[token] for token in hypothesis)
        if not printable(behind.decode("utf-8", "ignore")) and self._is_silent(known_ms):
            events += self.finish()
        return events + self._drafted(behind, now_ms)

    def finish(self) -> list[Event]:
        """The line that is still open, if any: nobody speaks on."""
        self._whole += self._builder.finish()
        lines = [*self._written(), *self._lines.finish()]
        self._times.pause()
        self._draft, self._draft_ms = NO_DRAFT, None
        return [*lines]

    def _written(self) -> list[Final]:
        """Words that are whole to the lines that they close."""
        timed, self._whole = self._times.push(self._whole, self._builder.open), []
        lines = [line for word in timed for line in self._lines.push(word)]
        if timed:
            self._draft_ms = None
            self._clock.forget_before(self._times.ended_ms)
        if lines:
            self._draft = NO_DRAFT
        return lines

    def _is_silent(self, known_ms: float) -> bool:
        """Whether the last word is whole and ended long ago."""
        if self._builder.lacks_bytes or not self._builder.open:
            return False
        word = self._builder.open[-1]
        end_ms = word.end_ms
        if word.begin_ms is not None:
            end_ms = min(end_ms, word.begin_ms + self._times.length_limit_ms(word.text))
        return known_ms - end_ms >= PAUSE_MS

    def _drafted(self, behind: bytes, now_ms: float) -> list[Event]:
        """The open line with the hypothesis behind it, if that is something new."""
        text = printable(self._lines.text + self._builder.draft_text(behind))
        text = text if self._lines.words else opened(text)
        draft = text, n_alike(self._lines.text, text)
        if is_mark(text) or draft == self._draft:
            return []
        self._draft = draft
        end_ms = self._times.source_ms(now_ms)
        return [Draft(text, min(self._draft_start_ms(text, now_ms), end_ms), end_ms, draft[1])]

    def _draft_start_ms(self, text: str, now_ms: float) -> float:
        """Where the open line begins: its first word, or as long ago as speaking the text takes."""
        if self._lines.words:
            return self._lines.words[0].start_ms
        if self._draft_ms is None:
            begin_ms = self._builder.open[0].begin_ms if self._builder.open else None
            if begin_ms is None:
                begin_ms = now_ms - spoken_ms(text)
            self._draft_ms = self._times.source_ms(max(self._times.ended_ms, begin_ms))
        return self._draft_ms
