# SPDX-License-Identifier: Apache-2.0
"""The built-in commentator's stages in a row: pictures in, comments out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgestream._native import InterleavedLoop
from edgestream.captions.pieces import WORD_START, joined
from edgestream.captions.step_caption import truecase
from edgestream.errors import UsageError, computing
from edgestream.events import Comment, Event
from edgestream.onnx.encoder import Encoder
from edgestream.sources.picture import Picture
from edgestream.vision.chattiness import Novelty
from edgestream.vision.gates import Linger, PictureGate, RowGate
from edgestream.vision.governor import Pace

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
        return 1 - self.encoded / self.pictures if self.pictures else 0.0

    @property
    def dropped_after(self) -> float:
        """Share of the encoded ones' rows that did not enter the decoder."""
        return 1 - self.entered / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What the last picture took: until its rows were in the decoder, and for its tokens."""

    read_ms: float = 0.0
    write_ms: float = 0.0
    n_tokens: int = 0
    cut_off: bool = False  # a limit ended the comment


class Commentator(Protocol):
    """One family's stages in a row."""

    @property
    def counts(self) -> Counts: ...

    @property
    def cost(self) -> Cost: ...

    def limit(self, pace: Pace, left_ms: float) -> None:
        """What the next picture may cost, and how soon its comment must be whole."""

    def reset(self) -> None:
        """Back to an empty stream."""

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the events that it brings; Comments have no staleness yet."""

    def ask(self, question: str) -> Callable[[], str]:
        """Forks what is known, which stays as it is; the call, on any thread, gives the answer.

        Raises:
            UsageError: the question is too long, or the family answers none.
        """

    def interrupt(self) -> list[Event]:
        """Pictures were lost: says what is begun, and takes the next picture for a first one."""

    def finish(self) -> list[Event]:
        """The pictures have ended: says what is begun."""


@dataclass(slots=True)
class BuiltInCommentator:
    """One stream's stages in the order that data takes. A comment is whole when it comes."""

    picture_gate: PictureGate  # -> pictures in which something is new
    picture_linger: Linger  # -> and those soon after them
    encoder: Encoder  # -> [1, n_embd]
    row_gate: RowGate  # -> those that are new
    row_linger: Linger  # -> and those soon after them
    loop: InterleavedLoop  # -> tokens
    pieces: Sequence[str]  # of each token; empty where it has no text
    novelty: Novelty  # -> comments that are news
    counts: Counts = field(default_factory=Counts)
    cost: Cost = field(default_factory=Cost)
    limits: tuple[int, float] | None = None  # most tokens, and the time for a picture in ms

    def reset(self) -> None:
        """Back to an empty stream."""
        self.interrupt()
        self.novelty.reset()
        self.counts, self.cost = Counts(), Cost()

    def limit(self, pace: Pace, left_ms: float) -> None:
        """Pictures of one size and a window of one length: only tokens can be fewer."""
        self.limits = pace.max_tokens, left_ms

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the comment that it brings, if any."""
        began_s = time.perf_counter()
        embedding = self._seen(picture)
        read_ms = 1000 * (time.perf_counter() - began_s)
        if embedding is None:
            self.cost = Cost(read_ms)
            return []
        return self._comment(self._said(embedding, read_ms), picture.time_ms)

    def _seen(self, picture: Picture) -> NDArray[np.float32] | None:
        """[1, n_embd] of a picture that is worth a row."""
        self.counts.pictures += 1
        change = self.picture_gate.push(picture.rgb)
        if not self.picture_linger.push(change.share > 0, picture.time_ms):
            return None
        self.counts.encoded += 1
        with computing():
            embedding = self.encoder.push(change.small[None])
            self.counts.rows += 1
            kept = self.row_gate.push(embedding)
        if not self.row_linger.push(bool(kept.any()), picture.time_ms):
            return None
        self.counts.entered += 1
        return embedding

    def _said(self, embedding: NDArray[np.float32], read_ms: float) -> list[int]:
        """The tokens of a row's turn."""
        if self.limits:
            max_tokens, left_ms = self.limits
            self.loop.limit_turns(max_tokens=max_tokens, max_ms=max(0.0, left_ms - read_ms))
        began_s = time.perf_counter()
        with computing():
            tokens, _, _ = self.loop.push(embedding)
        write_ms = 1000 * (time.perf_counter() - began_s) - self.loop.read_ms
        self.cost = Cost(read_ms + self.loop.read_ms, write_ms, len(tokens), self.loop.cut_off)
        return list(tokens.tolist())

    def ask(self, question: str) -> Callable[[], str]:
        """Its words are those of its comments."""
        raise UsageError("the built-in commentator answers no questions; leave them out")

    def interrupt(self) -> list[Event]:
        """What was seen before a gap says nothing of what comes after it."""
        for gate in (self.picture_gate, self.picture_linger, self.row_gate, self.row_linger):
            gate.reset()
        self.encoder.reset()
        self.loop.reset()
        return []

    def finish(self) -> list[Event]:
        """Nothing waits here: a picture is answered at once."""
        return []

    def _comment(self, tokens: Sequence[int], time_ms: float) -> list[Event]:
        text = joined("".join(self.pieces[token] for token in tokens))
        text = truecase(" ".join(text.replace(WORD_START, " ").split()), sentence_start=True)
        if not text:
            return []
        if self.cost.cut_off:
            text += CUT
        if not self.novelty.push(text, time_ms):
            self.counts.repeated += 1
            return []
        return [Comment.of(text, time_ms)]
