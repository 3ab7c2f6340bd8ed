# SPDX-License-Identifier: Apache-2.0
"""What every family's stages share: a picture in, new rows into the decoder, comments out."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream._native import TurnLoop
from edgestream.errors import computing
from edgestream.events import Comment, Event, Happening
from edgestream.sources.picture import Picture
from edgestream.vision.chattiness import Novelty
from edgestream.vision.gates import Change, Floats, PictureGate, RowGate
from edgestream.vision.governor import Cost, Pace

CUT = "…"  # behind a comment that a limit ended


@dataclass(slots=True)
class Counts:
    """What became of the pictures, since the stream's start."""

    pictures: int = 0
    encoded: int = 0
    rows: int = 0  # that the encoded ones became
    entered: int = 0  # of these, into the decoder
    repeated: int = 0  # comments that were no news, and not said

    @property
    def dropped_before(self) -> float:
        """Share of the pictures that were not encoded."""
        return max(0.0, 1 - self.encoded / self.pictures) if self.pictures else 0.0

    @property
    def dropped_after(self) -> float:
        """Share of the encoded ones' rows that did not enter the decoder."""
        return 1 - self.entered / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A thing that is followed, in the newest picture.

    `track`: its number. `label`: its class, as person. `colour`: the main one, or "".
    `box`: left, top, right, bottom in pixels of the picture. `score`: of the class, 0 to 1.
    """

    track: int
    label: str
    colour: str
    box: tuple[int, int, int, int]
    score: float


class Unit(NamedTuple):
    """What of a picture enters the decoder: its rows, maybe with time, height and width of each."""

    rows: Floats  # [n, n_embd]
    axes: NDArray[np.int32] | None = None  # [n, 3]


@dataclass(kw_only=True)
class Commentator(ABC):
    """What a PictureStream asks of any family: one stream, pictures in and comments out."""

    counts: Counts = field(default_factory=Counts)
    cost: Cost = field(default_factory=Cost)  # of the last picture, but for its age

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What is followed in the newest picture; nothing where the family follows nothing."""
        return ()

    def limit(self, pace: Pace, left_ms: float) -> None:  # noqa: B027 - few families heed it
        """What the next picture may cost, and how soon its comment must be whole."""

    def reset(self) -> None:
        """Back to an empty stream."""
        self.counts, self.cost = Counts(), Cost()

    @abstractmethod
    def push(self, picture: Picture) -> list[Event]:
        """A picture to the events that it brings; Comments have no staleness yet."""

    @abstractmethod
    def ask(self, question: str) -> Callable[[], str]:
        """Forks what is known, which stays as it is; the call, on any thread, gives the answer.

        Raises:
            UsageError: the question is too long, or the family answers none.
        """

    @abstractmethod
    def interrupt(self) -> list[Event]:
        """Pictures were lost: says what is begun, and takes the next picture for a first one."""

    @abstractmethod
    def finish(self) -> list[Event]:
        """The pictures have ended: says what is begun."""


@dataclass(kw_only=True)
class WritingCommentator(Commentator):
    """A decoder writes, within what a picture may cost."""

    loop: TurnLoop  # -> tokens
    _pace: Pace | None = None
    _left_ms: float = math.inf  # for the next picture
    _began_s: float = 0.0  # with the picture, on the clock of this machine

    def limit(self, pace: Pace, left_ms: float) -> None:
        """What the next picture may cost, and how soon its comment must be whole."""
        self._pace, self._left_ms = pace, left_ms

    def _turn(self, unit: Unit) -> list[int]:
        """The tokens of a unit's turn, within what the picture may cost."""
        encoded_ms = self._passed_ms()
        if self._pace:
            left_ms = max(0.0, self._left_ms - encoded_ms)
            self.loop.limit_turns(max_tokens=self._pace.max_tokens, max_ms=left_ms)
        with computing():
            tokens, _, _ = self.loop.push_unit(*unit)
        read_ms = encoded_ms + self.loop.read_ms  # and what came before in this picture
        write_ms = self._passed_ms() - read_ms
        self.cost = Cost(0.0, read_ms, write_ms, len(tokens), self.loop.cut_off)
        written: list[int] = tokens.tolist()
        return written

    def _begin(self) -> None:
        """The turn of a picture begins now."""
        self._began_s = time.perf_counter()

    def _passed_ms(self) -> float:
        return 1000 * (time.perf_counter() - self._began_s)


@dataclass(kw_only=True)
class DecodingCommentator(WritingCommentator):
    """A decoder reads what is new of pictures and writes; a family adds its own stages."""

    picture_gate: PictureGate  # -> pictures in which something is new
    row_gate: RowGate  # -> of the encoder's rows those that are new
    novelty: Novelty  # -> comments that are news

    def reset(self) -> None:
        """Back to an empty stream."""
        super().reset()
        for stage in (self.picture_gate, self.row_gate, self.loop, self.novelty):
            stage.reset()

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the events that it brings; Comments have no staleness yet."""
        self.counts.pictures += 1
        self._begin()
        change = self.picture_gate.push(picture.rgb)
        events = self._change_shot() if change.shot else []
        unit = self._unit(picture, change)
        if unit is None:
            self.cost = Cost(read_ms=self._passed_ms())
            return events
        return events + self._comment(self._turn(unit), picture.time_ms)

    @abstractmethod
    def _unit(self, picture: Picture, change: Change) -> Unit | None:
        """What of the picture is worth reading; counts what was encoded and what is."""

    @abstractmethod
    def _comment(self, tokens: list[int], time_ms: float) -> list[Event]:
        """What the tokens of a picture's turn say."""

    def _change_shot(self) -> list[Event]:
        """Another place is shown from this picture on: says what is begun."""
        return []

    def _told(self, text: str, time_ms: float, happening: Happening | None = None) -> list[Event]:
        """The comment, if it is news."""
        if self.novelty.push(text, time_ms):
            return [Comment.of(text, time_ms, happening)]
        self.counts.repeated += 1
        return []
