# SPDX-License-Identifier: Apache-2.0
"""Where somebody begins and ends to speak: rows with their voices become utterances.

Two thresholds with a state between them, as Silero VAD's own iterator has them (silero-vad,
`VADIterator`): speech begins at the higher one and is over below the lower one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class UtteranceSpec:
    """Probabilities of a voice, and counts of rows of 10 ms."""

    start: float = 0.5  # from which on somebody speaks
    stay: float = 0.35  # below which a speaker has stopped
    confirm_rows: int = 9  # of speech, before which a sound is a click
    lead_rows: int = 30  # heard before the first sound: soft beginnings of words lie there
    pause_rows: int = 20  # of silence after which what was said is looked at
    end_rows: int = 60  # of silence that ends an utterance


class Mark(Enum):
    """What is behind the rows of a piece."""

    MORE = auto()
    PAUSE = auto()  # the speaker pauses: a word is over
    END = auto()  # the utterance is over


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows [n, width] of one utterance that are to be heard now, n >= 0.

    `first_row` counts from the stream's start; `begins`: the utterance begins with it.
    """

    rows: Floats
    first_row: int
    begins: bool
    mark: Mark


class Utterances:
    """Cuts one stream; what nobody says is in no piece. Any cutting of the rows gives the same
    utterances, each of the same rows up to each mark."""

    def __init__(self, width: int, spec: UtteranceSpec) -> None:
        self._width, self._spec = width, spec
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._held: Floats = np.empty((0, self._width), np.float32)  # in no piece yet
        self._n_rows = 0  # whose voice is known
        self._speaks = False
        self._n_voiced = 0  # newest rows that are speech, before an utterance
        self._silent_from: int | None = None  # row at which the speaker stopped

    def push(self, rows: Floats, voices: Floats) -> Iterator[Piece]:
        """Rows [n, width] with the probability of a voice in each [n] to pieces."""
        n_before = self._n_rows + len(rows)
        self._held = np.concatenate([self._held, rows])
        for voice in voices.tolist():
            self._n_rows += 1
            n_ahead = n_before - self._n_rows  # rows held whose voice comes later in this call
            yield from self._follow(voice, n_ahead) if self._speaks else self._wait(voice, n_ahead)
        if self._speaks and not self._pauses:
            yield self._piece(Mark.MORE, 0)

    def finish(self) -> Iterator[Piece]:
        """The stream has ended: so has the utterance, even one too short to be sure of."""
        if self._speaks or self._n_voiced:
            yield self._piece(Mark.END, 0, begins=not self._speaks)
        self._held, self._speaks, self._n_voiced = self._held[:0], False, 0

    def _wait(self, voice: float, n_ahead: int) -> Iterator[Piece]:
        """A row before an utterance: it begins once there are enough of them."""
        spec = self._spec
        self._n_voiced = self._n_voiced + 1 if voice >= spec.start else 0
        spare = len(self._held) - n_ahead - self._n_voiced - spec.lead_rows
        if spare > 0:
            self._held = self._held[spare:]
        if self._n_voiced >= spec.confirm_rows:
            self._speaks, self._n_voiced, self._silent_from = True, 0, None
            yield self._piece(Mark.MORE, n_ahead, begins=True)

    def _follow(self, voice: float, n_ahead: int) -> Iterator[Piece]:
        """A row of an utterance."""
        spec = self._spec
        if voice >= spec.start:
            self._silent_from = None
        elif voice < spec.stay and self._silent_from is None:
            self._silent_from = self._n_rows - 1
        n_silent = 0 if self._silent_from is None else self._n_rows - self._silent_from
        if n_silent == spec.pause_rows:
            yield self._piece(Mark.PAUSE, n_ahead)
        if n_silent == spec.end_rows:
            self._speaks = False
            yield Piece(self._held[:0], self._n_rows, begins=False, mark=Mark.END)

    @property
    def _pauses(self) -> bool:
        if self._silent_from is None:
            return False
        return self._n_rows - self._silent_from >= self._spec.pause_rows

    def _piece(self, mark: Mark, n_ahead: int, *, begins: bool = False) -> Piece:
        """All rows held but those whose voice is not known yet."""
        n = len(self._held) - n_ahead
        rows, self._held = self._held[:n], self._held[n:]
        return Piece(rows, self._n_rows - n, begins, mark)
