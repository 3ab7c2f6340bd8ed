# SPDX-License-Identifier: Apache-2.0
"""The built-in commentator's stages in a row: pictures in, comments out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgestream._native import InterleavedLoop, PictureResizer
from edgestream.caption import truecase
from edgestream.chattiness import Novelty
from edgestream.encoder import Encoder
from edgestream.errors import OperationError, UsageError
from edgestream.events import Comment, Event
from edgestream.picture import Picture
from edgestream.picture_gate import EmbeddingGate, PictureGate
from edgestream.pieces import WORD_START, joined


@dataclass(slots=True)
class Counts:
    """What became of the pictures, since the stream's start."""

    pictures: int = 0
    encoded: int = 0
    entered: int = 0  # into the decoder
    repeated: int = 0  # comments that were no news, and not said

    @property
    def dropped_before(self) -> float:
        """Share of the pictures that were not encoded."""
        return 1 - self.encoded / self.pictures if self.pictures else 0.0

    @property
    def dropped_after(self) -> float:
        """Share of the encoded ones that did not enter the decoder."""
        return 1 - self.entered / self.encoded if self.encoded else 0.0


class Commentator(Protocol):
    """One family's stages in a row."""

    @property
    def counts(self) -> Counts: ...

    def reset(self) -> None:
        """Back to an empty stream."""

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the events that it brings; Comments have no staleness yet."""

    def interrupt(self) -> list[Event]:
        """Pictures were lost: says what is begun, and takes the next picture for a first one."""

    def finish(self) -> list[Event]:
        """The pictures have ended: says what is begun."""


@dataclass(slots=True)
class BuiltInCommentator:
    """One stream's stages in the order that data takes. A comment is whole when it comes."""

    resizer: PictureResizer  # uint8 [any, any, 3] -> [height, width, 3] in [0, 1]
    picture_gate: PictureGate  # -> those that are worth encoding
    encoder: Encoder  # -> [1, n_embd]
    embedding_gate: EmbeddingGate  # -> those that are worth a row
    loop: InterleavedLoop  # -> tokens
    pieces: Sequence[str]  # of each token; empty where it has no text
    novelty: Novelty  # -> comments that are news
    counts: Counts = field(default_factory=Counts)

    def reset(self) -> None:
        """Back to an empty stream."""
        self.interrupt()
        self.novelty.reset()
        self.counts = Counts()

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the comment that it brings, if any."""
        self.counts.pictures += 1
        rgb = self._resized(picture.rgb)
        if not self.picture_gate.push(rgb, picture.time_ms):
            return []
        self.counts.encoded += 1
        try:
            embedding = self.encoder.push(rgb[None])
            if not self.embedding_gate.push(embedding, picture.time_ms):
                return []
            self.counts.entered += 1
            tokens, _, _ = self.loop.push(embedding)
        except (RuntimeError, ValueError) as error:  # weights that give no numbers, a lost device
            raise OperationError(str(error)) from None
        return self._comment(tokens.tolist(), picture.time_ms)

    def interrupt(self) -> list[Event]:
        """What was seen before a gap says nothing of what comes after it."""
        for stage in (self.picture_gate, self.encoder, self.embedding_gate, self.loop):
            stage.reset()
        return []

    def finish(self) -> list[Event]:
        """Nothing waits here: a picture is answered at once."""
        return []

    def _resized(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            return self.resizer.push(np.ascontiguousarray(rgb))
        except ValueError as error:  # larger than any picture
            raise UsageError(str(error)) from None

    def _comment(self, tokens: Sequence[int], time_ms: float) -> list[Event]:
        text = joined("".join(self.pieces[token] for token in tokens))
        text = truecase(" ".join(text.replace(WORD_START, " ").split()), sentence_start=True)
        if not text:
            return []
        if not self.novelty.push(text, time_ms):
            self.counts.repeated += 1
            return []
        return [Comment.of(text, time_ms)]
