# SPDX-License-Identifier: Apache-2.0
"""Committed tokens of a re-encoded model to captions: bytes to words, words to lines, with times.

A model that writes times says where its segments begin and end, and a line is a segment. Where the
cross-attention is known, each token begins where it was heard. Without either a word is known to be
older than the hypothesis in which it came, and its length is a guess.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgestream.caption import CHAR_MS, LINE_CHARS, LINE_MS, SENTENCE_END, SILENCE_MS, WORD_CHARS
from edgestream.clock import Clock
from edgestream.events import Draft, Event, Final, Word

ENDS = tuple(SENTENCE_END + "\u3002\uff1f\uff01")  # of sentences, the Chinese ones too


@dataclass(slots=True)
class _Word:
    text: str
    end_ms: float  # in the stream's time, at the latest
    shown_ms: float
    begin_ms: float | None = None  # where it was heard; then end_ms is where it ended


class SegmentCaption:
    """Turns what one stream commits into Draft and Final events."""

    def __init__(
        self, token_bytes: Sequence[bytes], clock: Clock, *, first_time: int | None, place_ms: float
    ) -> None:
        """`first_time` is the token of a window's start (None: there are none), the next one is
        `place_ms` later."""
        self._token_bytes, self._clock = token_bytes, clock
        self._first_time, self._place_ms = first_time, place_ms
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._words: list[_Word] = []
        self._start_ms = self._ended_ms = 0.0  # of this line at the earliest, of the last one
        self._draft = ""

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
        events: list[Event] = []
        for i, token in enumerate(tokens):
            if self._first_time is not None and token >= self._first_time:
                place_ms = window_ms + (token - self._first_time) * self._place_ms
                events += self._turn_at(min(place_ms, now_ms))
            else:
                text = self._decoder.decode(self._token_bytes[token])
                new = _Word("", known_ms, now_ms)
                if begins_ms:
                    new.begin_ms, new.end_ms = (min(ms, now_ms) for ms in begins_ms[i : i + 2])
                events += self._write(_printable(text), new, known_ms)
        if self._words and known_ms - self._words[-1].end_ms >= SILENCE_MS:
            events.append(self._close())
        return events + self._drafted(hypothesis, now_ms)

    def finish(self) -> list[Event]:
        """The line that is still open, if any."""
        self._draft = ""
        return [self._close()] if self._words else []

    def _write(self, text: str, new: _Word, known_ms: float) -> list[Event]:
        """Text of a token; its words are as `new`."""
        events: list[Event] = []
        for i, part in enumerate(text.split(" ")):
            grown = len(self._words[-1].text) + len(part) if self._words else 0
            if (i or not self._words or grown > WORD_CHARS) and part:
                if self._is_full(part, known_ms):
                    events.append(self._close())
                self._words.append(replace(new, text=part))
            elif part:
                self._extend(part, new)
            elif i and self._words and self._words[-1].text:
                self._words.append(replace(new))  # its letters come in a later token
        if self._first_time is None and self._words and self._words[-1].text.endswith(ENDS):
            events.append(self._close())
        return events

    def _extend(self, part: str, new: _Word) -> None:
        """Letters behind the last word; it lasts as long as they do, not as long as its comma."""
        last = self._words[-1]
        if last.begin_ms is not None and not last.text:
            last.begin_ms = new.begin_ms
        if last.begin_ms is not None and any(c.isalnum() for c in part):
            last.end_ms = new.end_ms
        last.text, last.shown_ms = last.text + part, new.shown_ms

    def _turn_at(self, place_ms: float) -> list[Event]:
        """A segment ends or begins."""
        if not self._words:
            self._start_ms = max(self._ended_ms, place_ms)
            return []
        return [self._close(place_ms)]

    def _is_full(self, part: str, known_ms: float) -> bool:
        if not self._words or self._first_time is not None:
            return False
        long = len(self._text()) + 1 + len(part) > LINE_CHARS
        return long or known_ms - self._words[0].end_ms > LINE_MS

    def _text(self) -> str:
        return " ".join(word.text for word in self._words if word.text)

    def _drafted(self, hypothesis: Sequence[int], now_ms: float) -> list[Event]:
        """The open line with the hypothesis behind it, if that is something new."""
        pieces = [
            self._token_bytes[token]
            for token in hypothesis
            if self._first_time is None or token < self._first_time
        ]
        behind = _printable(b"".join(pieces).decode("utf-8", "ignore"))
        text = " ".join((self._text() + behind).split())
        if not text or text == self._draft:
            return []
        self._draft = text
        first_ms = (
            self._timed()[0].start_ms if self._text() else self._clock.source_ms(self._start_ms)
        )
        return [Draft(text, first_ms, max(first_ms, self._clock.source_ms(now_ms)))]

    def _close(self, end_ms: float | None = None) -> Final:
        words = tuple(self._timed(end_ms))
        self._words, self._draft = [], ""
        if end_ms is not None:
            self._start_ms = end_ms
        self._ended_ms = self._stream_end_ms
        self._clock.forget_before(self._ended_ms)
        return Final(" ".join(w.text for w in words), words, words[0].start_ms, words[-1].end_ms)

    def _timed(self, end_ms: float | None = None) -> list[Word]:
        """Words with times on the source's clock, one behind the other."""
        words = [word for word in self._words if word.text]
        spans = [(w.begin_ms, w.end_ms) for w in words if w.begin_ms is not None]
        if len(spans) < len(words):
            spans = self._guessed(words, end_ms)
        timed, at_ms = [], max(self._start_ms, self._ended_ms)
        for word, (begin_ms, ended_ms) in zip(words, spans, strict=True):
            begin_ms = max(at_ms, begin_ms)
            at_ms = max(begin_ms, ended_ms)
            times = (self._clock.source_ms(ms) for ms in (begin_ms, at_ms, word.shown_ms))
            timed.append(Word(word.text, *times))
        self._stream_end_ms = at_ms
        return timed

    def _guessed(self, words: list[_Word], end_ms: float | None) -> list[tuple[float, float]]:
        """Begins and ends: back from the latest time at which each can have ended, as long as
        people speak them, squeezed into the time since the line before."""
        begin_ms = max(self._start_ms, self._ended_ms)
        latest_ms = [min(w.end_ms, end_ms if end_ms is not None else w.end_ms) for w in words]
        lengths = [CHAR_MS * (1 + len(w.text)) for w in words]
        ends, after_ms = [0.0] * len(words), float("inf")
        for i in reversed(range(len(words))):
            ends[i] = min(latest_ms[i], after_ms)
            after_ms = ends[i] - lengths[i]
        if after_ms < begin_ms:  # they spoke faster than that
            total, span = sum(lengths), max(0.0, ends[-1] - begin_ms)
            ends = [begin_ms + span * sum(lengths[: i + 1]) / total for i in range(len(words))]
        return [(ended - length, ended) for ended, length in zip(ends, lengths, strict=True)]


def _printable(text: str) -> str:
    """Tokens may be any bytes; nothing that a terminal would obey gets to one."""
    return "".join(c if c.isprintable() else " " for c in text)
