# SPDX-License-Identifier: Apache-2.0
"""The re-encoded family's stages in a row: samples in, events out, a window for each utterance."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream._native import ReencodedLoop
from edgestream.captions.segment_caption import SegmentCaption
from edgestream.captions.steady_draft import SteadyDraft
from edgestream.errors import computing
from edgestream.events import Event
from edgestream.speech.reencoded.config import RATE_HZ
from edgestream.speech.reencoded.decoder import EncoderDecoder
from edgestream.speech.reencoded.pace import Pace
from edgestream.speech.reencoded.utterances import Mark, Piece, Utterances
from edgestream.speech.reencoded.weights import HOP_SAMPLES
from edgestream.speech.reencoded.window import WindowRows

ROW_MS = 1000 * HOP_SAMPLES / RATE_HZ
HOLD, LET_GO = 0.0, 1.0  # scores from outside, for the loop's policy
Floats = NDArray[np.float32]


@dataclass(slots=True)
class ReencodedStages:
    """One stream's stages in the order that data takes."""

    window_rows: WindowRows  # samples [n] at RATE_HZ -> rows [n, 1 + width] and the voice in each
    utterances: Utterances  # -> the rows of what somebody says
    pace: Pace  # how many of them are one unit
    decoder: EncoderDecoder
    loop: ReencodedLoop  # -> tokens that are committed
    draft: SteadyDraft  # and those that are shown before
    caption: SegmentCaption  # -> events
    n_hypotheses: int  # in which a token is met before it is committed
    _waiting: Floats = field(init=False)  # rows of the utterance, not decoded yet
    _first_row: int = field(default=0, init=False)  # of the utterance
    _heard_rows: deque[int] = field(init=False)  # of it, when each newest window was decoded
    _is_over: bool = field(default=False, init=False)  # and its end waits for a slow machine

    def __post_init__(self) -> None:
        self._heard_rows = deque(maxlen=self.n_hypotheses)
        self._waiting = np.empty((0, self.decoder.n_embd), np.float32)

    def reset(self) -> None:
        """Back to an empty stream."""
        for stage in (self.window_rows, self.utterances, self.pace, self.caption):
            stage.reset()
        if self.decoder.ear:
            self.decoder.ear.forget()
        self._begin(0)

    def push(self, samples: Floats) -> list[Event]:
        """Samples [n] at RATE_HZ to the events that they make."""
        rows, voices = self.window_rows.push(samples)
        events = self._hear(rows, voices)
        if self._is_over and not self.pace.can_wait(len(self._waiting)):
            events += self._end()
        return events

    def finish(self, silence: Floats) -> list[Event]:
        """Commits what is left and closes the open line; needs no `silence` behind the end."""
        return self._hear(*self.window_rows.finish()) + self.close_line()

    def close_line(self) -> list[Event]:
        """What is said is over: the rest of it is committed, and the line ends."""
        events = [event for piece in self.utterances.finish() for event in self._take(piece)]
        return events + (self._end() if self._is_over else [])

    def _hear(self, rows: Floats, voices: Floats) -> list[Event]:
        pieces = self.utterances.push(rows, voices)
        return [event for piece in pieces for event in self._take(piece)]

    def _take(self, piece: Piece) -> list[Event]:
        """Reads rows up to the end of each unit."""
        events: list[Event] = []
        rows = self._opened(piece, events) if piece.begins else piece.rows
        while len(rows):
            n = self.pace.rows_to_go(len(self._waiting))
            self._waiting, rows = np.concatenate([self._waiting, rows[:n]]), rows[n:]
            if self.pace.is_due(len(self._waiting)):
                events += self._decode()
        if piece.mark is Mark.MORE:
            return events
        if self.pace.can_wait(len(self._waiting)):
            self._is_over = piece.mark is Mark.END
            return events
        return events + (self._end() if piece.mark is Mark.END else self._decode())

    def _opened(self, piece: Piece, events: list[Event]) -> Floats:
        """The first rows of an utterance. One that waits for a slow machine goes on in it, with the
        silence between them, if that is not long; else its events are told before."""
        if self._is_over:
            n_between = piece.first_row - self._first_row - self._n_heard - len(self._waiting)
            if self.pace.can_wait(len(self._waiting) + n_between):
                self._is_over = False
                return np.concatenate([self.window_rows.silence(n_between), piece.rows])
            events += self._end()
        self._begin(piece.first_row)
        return piece.rows

    def _begin(self, first_row: int) -> None:
        """An utterance has a window of its own."""
        self.loop.reset()
        self.draft.reset()
        if self.decoder.ear:
            self.decoder.ear.begin()
        self._waiting, self._first_row = self._waiting[:0], first_row
        self._heard_rows.clear()
        self._is_over = False

    def _end(self) -> list[Event]:
        """Nobody speaks any more: the last hypothesis is final, without another look."""
        events, self._is_over = self._decode(), False
        self.loop.set_outside(LET_GO)
        with computing():
            tokens, _, _ = self.loop.finish()
        return [*events, *self._caption(tokens, self._n_heard), *self.caption.finish()]

    def _decode(self) -> list[Event]:
        """The window with the rows that wait, if there are any."""
        rows, self._waiting = self._waiting, self._waiting[:0]
        if not len(rows):
            return []
        n_heard, language = self._n_heard + len(rows), self.decoder.language
        tokens = self._read(rows)
        if self._heard_rows and self.decoder.language != language:
            tokens = self._read_anew()
        known = self._heard_rows[0] if len(self._heard_rows) == self.n_hypotheses else 0
        self._heard_rows.append(n_heard)
        return [*self.pace.told(len(rows)), *self._caption(tokens, known)]

    def _read(self, rows: Floats) -> NDArray[np.int32]:
        """Tokens that are committed once the window has these rows as well: none if its language
        was not sure before. Until then the words of a window may turn out to be in a wrong one."""
        self.loop.set_outside(LET_GO if self.decoder.language_is_sure else HOLD)
        with computing():
            tokens, _, _ = self.loop.push_unit(np.ascontiguousarray(rows))
        return tokens

    def _read_anew(self) -> NDArray[np.int32]:
        """The window once more, which is in another language: what was thought of it is gone."""
        window = self.decoder.window
        self.loop.reset()
        self._heard_rows.clear()
        return self._read(window)

    @property
    def _n_heard(self) -> int:
        """Rows of the utterance that were decoded."""
        return self._heard_rows[-1] if self._heard_rows else 0

    def _caption(self, tokens: NDArray[np.int32], known_rows: int) -> list[Event]:
        """Events of what is committed, and of the hypothesis; its words ended before known_rows."""
        hypothesis, window_row = self.loop.hypothesis, self._first_row + self.loop.n_left
        places = self.loop.places[-len(tokens) - len(hypothesis) - 1 :]
        begins_ms = [(window_row + row) * ROW_MS for row in places]
        now_ms = (self._first_row + self._n_heard) * ROW_MS
        self.draft.committed(tokens.tolist())
        shown = self.draft.shown(hypothesis, begins_ms[len(tokens) :], now_ms)
        return self.caption.push(
            tokens.tolist(),
            shown,
            begins_ms=begins_ms[: len(tokens) + 1] if len(tokens) else [],
            window_ms=window_row * ROW_MS,
            known_ms=(self._first_row + known_rows) * ROW_MS,
            now_ms=now_ms,
        )
