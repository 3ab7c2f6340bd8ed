# SPDX-License-Identifier: Apache-2.0
"""Tokens to captions: words with times, drafts that grow and finals that stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.captions.clock import Clock
from edgestream.captions.line_breaks import is_sentence_end
from edgestream.captions.lines import PAUSE_MS, Lines, n_alike
from edgestream.captions.pieces import piece_bytes
from edgestream.captions.shown_text import printable
from edgestream.captions.word_times import WordTimes, spoken_ms
from edgestream.captions.words import SpokenWord, WordBuilder
from edgestream.captions.writing_systems import is_mark
from edgestream.events import Draft, Event, Final

PUNCTUATION = ",.?!"


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
        self._token_bytes = [piece_bytes(piece) for piece in pieces]
        self._clock = clock
        self._pad = pad
        self._step_ms = step_ms
        self._delay_frames = delay_frames
        self._lead_ms = lead_ms  # of silence that the model heard before the source's time began
        self._builder, self._times, self._lines = WordBuilder(), WordTimes(clock), Lines()
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        for stage in (self._builder, self._times, self._lines):
            stage.reset()
        self._step = self._last_step = 0  # steps seen; the one of the last token
        self._sentence_start = True
        self._drafted = ""

    def push(self, tokens: NDArray[np.int32], waited: NDArray[np.int32]) -> list[Event]:
        """One token a step [n], each given `waited` [n] steps after its own.

        Returns the drafts and finals that they make.
        """
        events: list[Event] = []
        for token, wait in zip(tokens.tolist(), waited.tolist(), strict=True):
            if token != self._pad:
                events += self._write(self._token_bytes[token], self._step + wait)
            elif self._builder.open and self._silent_ms() >= PAUSE_MS:
                events += self.finish()
            self._step += 1
        return events

    def finish(self) -> list[Event]:
        """The line that is still open, if any: nobody speaks on."""
        lines = [*self._written(self._builder.finish()), *self._lines.finish()]
        self._times.pause()
        self._sentence_start, self._drafted = True, ""
        return [*lines]

    def _write(self, token: bytes, shown_step: int) -> list[Event]:
        if not token:  # it means something to the model alone
            return []
        # The first token of a word tells when it ended.
        heard_ms = self._stream_ms(shown_step + 1)
        whole = self._builder.push(token, None, self._spoken_ms(self._step), heard_ms, first=True)
        self._last_step = self._step
        lines = self._written(whole)
        if lines:
            self._drafted = ""
        return [*lines, *(self._draft() if self._builder.open else [])]

    def _written(self, whole: list[SpokenWord]) -> list[Final]:
        """Words that are whole to the lines that they close."""
        lines: list[Final] = []
        for word in whole:
            word.text = self._cased(word.text)
            word.begin_ms = word.end_ms - spoken_ms(word.text)
            self._sentence_start = is_sentence_end(word.text, "")
            for timed in self._times.push([word]):
                lines += self._lines.push(timed)
        if lines:  # times before the words that are open can no longer be asked for
            self._clock.forget_before(self._times.ended_ms)
        return lines

    def _cased(self, text: str) -> str:
        return truecase(text, sentence_start=self._sentence_start)

    def _draft(self) -> list[Draft]:
        open_text = self._builder.draft_text(b"")
        begun = self._cased(open_text.lstrip())
        spaced = open_text.startswith(" ") and bool(self._lines.words)
        text = printable(self._lines.text + " " * spaced + begun)
        if is_mark(text) or text == self._drafted:
            return []
        self._drafted = text
        end_ms = self._times.source_ms(self._builder.open[-1].end_ms)
        first_ms = max(self._times.ended_ms, self._builder.open[0].end_ms - spoken_ms(begun))
        start_ms = self._times.source_ms(first_ms)
        if self._lines.words:
            start_ms = self._lines.words[0].start_ms
        return [Draft(text, min(start_ms, end_ms), end_ms, n_alike(self._lines.text, text))]

    def _silent_ms(self) -> float:
        return (self._step - self._last_step) * self._step_ms

    def _spoken_ms(self, first_step: int) -> float:
        """Stream time at which a word ended whose first token came in `first_step`."""
        return self._stream_ms(first_step - self._delay_frames + 0.5)

    def _stream_ms(self, steps: float) -> float:
        return max(0.0, steps * self._step_ms - self._lead_ms)


def truecase(word: str, *, sentence_start: bool) -> str:
    """Upper case for the first letter of a sentence and for "i", "i'm", "i'll", ..."""
    pronoun = word.strip(PUNCTUATION + " ").split("'")[0] == "i"
    if not sentence_start and not pronoun:
        return word
    first = next((i for i, c in enumerate(word) if c.isalnum()), 0)
    return word[:first] + word[first : first + 1].upper() + word[first + 1 :]
