# SPDX-License-Identifier: Apache-2.0
"""Tokens to captions: words with times, drafts that grow and finals that stay."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream.clock import Clock
from edgestream.events import Draft, Event, Final, Word
from edgestream.pieces import WORD_START, joined

SENTENCE_END = ".?!"
PUNCTUATION = ",.?!"
SILENCE_MS = 1600.0  # a line without a full stop ends after this much silence
LINE_CHARS = 84  # two caption lines of 42 characters, as broadcasters set them
LINE_MS = 7000.0  # the longest that one caption stands, likewise
WORD_CHARS = 40  # no word that people say is longer; without it a model could grow one for ever
CHAR_MS = 70.0  # English speech runs at about 14 characters a second


@dataclass(slots=True)
class _Word:
    """A word whose tokens may still be coming; steps count from the start of the stream."""

    text: str
    first_step: int
    last_step: int
    shown_step: int  # at which the last one was there; later than its own where it was deferred


@dataclass(slots=True)
class _Line:
    words: list[_Word] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Caption:
    """Turns the tokens of one stream into Draft and Final events.

    `pieces` are what each token adds to the text (see pieces.py). A word's tokens come
    `delay_frames` steps after its end, so its end is known to one step; its start is the end of the
    word before or, after a pause, guessed from its length.
    """

    def __init__(
        self,
        pieces: list[str],
        clock: Clock,
        *,
        pad: int,
        step_ms: float,
        delay_frames: int,
        lead_ms: float = 0.0,
    ) -> None:
        self._pieces = pieces
        self._clock = clock
        self._pad = pad
        self._step_ms = step_ms
        self._delay_frames = delay_frames
        self._lead_ms = lead_ms  # of silence that the model heard before the source's time began
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._step = 0  # steps seen
        self._line = _Line()
        self._ended_ms = 0.0  # source time at which the last word of the last line ended
        self._sentence_start = True
        self._space_step: int | None = None  # of a last token that was a space alone

    def push(self, tokens: NDArray[np.int32], waited: NDArray[np.int32]) -> list[Event]:
        """One token a step [n], each given `waited` [n] steps after its own.

        Returns the drafts and finals that they make.
        """
        events: list[Event] = []
        for token, wait in zip(tokens.tolist(), waited.tolist(), strict=True):
            if token != self._pad:
                events += self._write(self._pieces[token], self._step + wait)
            elif self._line.words and self._silent_ms() >= SILENCE_MS:
                events.append(self._close(sentence_end=True))
            self._step += 1
        return events

    def finish(self) -> list[Event]:
        """The line that is still open, if any."""
        return [self._close(sentence_end=True)] if self._line.words else []

    def _write(self, piece: str, shown_step: int) -> list[Event]:
        events: list[Event] = []
        words = self._line.words
        if not piece:  # a token that means something to the model alone
            return events
        if piece == WORD_START:  # the word's letters come in tokens of their own
            self._space_step = self._step
            return events
        first_step = self._step
        letters = piece.strip(PUNCTUATION) and not piece.startswith(WORD_START)
        if self._space_step is not None and letters:
            piece, first_step = WORD_START + piece, self._space_step
        self._space_step = None
        if not words and not piece.strip(PUNCTUATION):
            return events  # the line that this belonged to is closed
        too_long = bool(words) and len(words[-1].text) + len(piece) > WORD_CHARS
        if piece.startswith(WORD_START) or not words or too_long:
            piece = piece.removeprefix(WORD_START)
            if words and self._is_full(piece):
                events.append(self._close(sentence_end=False))
                words = self._line.words
            words.append(_Word(piece, first_step, self._step, shown_step))
        else:
            words[-1].text += piece
            words[-1].last_step = self._step
            words[-1].shown_step = shown_step
        if words[-1].text.endswith(tuple(SENTENCE_END)):
            events.append(self._close(sentence_end=True))
        else:
            events.append(self._draft())
        return events

    def _silent_ms(self) -> float:
        return (self._step - self._line.words[-1].last_step) * self._step_ms

    def _is_full(self, piece: str) -> bool:
        words = self._line.words
        long = len(self._line.text) + 1 + len(piece) > LINE_CHARS
        return long or (self._step - words[0].first_step) * self._step_ms > LINE_MS

    def _draft(self) -> Draft:
        words = self._timed()
        return Draft(" ".join(w.text for w in words), words[0].start_ms, words[-1].end_ms)

    def _close(self, *, sentence_end: bool) -> Final:
        words = tuple(self._timed())
        self._line = _Line()
        self._space_step = None
        self._ended_ms = words[-1].end_ms
        self._sentence_start = sentence_end
        # Times before the last word can no longer be asked for.
        self._clock.forget_before(self._spoken_ms(self._step) - self._step_ms)
        return Final(" ".join(w.text for w in words), words, words[0].start_ms, words[-1].end_ms)

    def _timed(self) -> list[Word]:
        """The line's words with times on the source's clock, truecased for display."""
        timed: list[Word] = []
        ended_ms = self._ended_ms
        for i, word in enumerate(self._line.words):
            end_ms = max(ended_ms, self._clock.source_ms(self._spoken_ms(word.first_step)))
            start_ms = max(ended_ms, end_ms - CHAR_MS * (1 + len(word.text)))
            heard_ms = self._clock.source_ms(self._stream_ms(word.shown_step + 1))
            text = truecase(joined(word.text), sentence_start=i == 0 and self._sentence_start)
            timed.append(Word(text, start_ms, end_ms, heard_ms))
            ended_ms = end_ms
        return timed

    def _spoken_ms(self, first_step: int) -> float:
        """Stream time at which a word ended whose first token came in `first_step`."""
        return self._stream_ms(first_step - self._delay_frames + 0.5)

    def _stream_ms(self, steps: float) -> float:
        return max(0.0, steps * self._step_ms - self._lead_ms)


def truecase(word: str, *, sentence_start: bool) -> str:
    """Upper case for the first letter of a sentence and for "i", "i'm", "i'll", ..."""
    pronoun = word.rstrip(PUNCTUATION).split("'")[0] == "i"
    return word[:1].upper() + word[1:] if sentence_start or pronoun else word
