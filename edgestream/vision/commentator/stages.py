# SPDX-License-Identifier: Apache-2.0
"""The built-in commentator's stages in a row: pictures in, comments out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgestream.captions.pieces import WORD_START, joined
from edgestream.captions.step_caption import truecase
from edgestream.errors import UsageError, computing
from edgestream.events import Event
from edgestream.onnx.encoder import Encoder
from edgestream.sources.picture import Picture
from edgestream.vision.commentator.happening import happening_of
from edgestream.vision.gates import Change, Linger
from edgestream.vision.stages import CUT, DecodingCommentator, Unit


@dataclass(kw_only=True)
class BuiltInCommentator(DecodingCommentator):
    """Pictures of one size and a window of one length: only tokens can be fewer. A comment is whole
    when it comes."""

    picture_linger: Linger  # -> pictures that are new, and those soon after them
    encoder: Encoder  # -> [1, n_embd]
    row_linger: Linger  # -> rows that are new, and those soon after them
    pieces: Sequence[str]  # of each token; empty where it has no text

    def reset(self) -> None:
        """Back to an empty stream."""
        super().reset()
        self.interrupt()

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

    def _unit(self, picture: Picture, change: Change) -> Unit | None:
        if not self.picture_linger.push(change.share > 0, picture.time_ms):
            return None
        self.counts.encoded += 1
        with computing():
            embedding = self.encoder.push(change.small[None])
            kept = self.row_gate.push(embedding)
        self.counts.rows += 1
        if not self.row_linger.push(bool(kept.any()), picture.time_ms):
            return None
        self.counts.entered += 1
        return Unit(embedding)

    def _comment(self, tokens: list[int], time_ms: float) -> list[Event]:
        text = joined("".join(self.pieces[token] for token in tokens))
        text = truecase(" ".join(text.replace(WORD_START, " ").split()), sentence_start=True)
        if not text:
            return []
        text += CUT * self.cost.cut_off
        return self._told(text, time_ms, happening_of(text))
