# SPDX-License-Identifier: Apache-2.0
"""A vision-language model's stages in a row: pictures in, comments out."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream._native import TurnLoop
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import UsageError, computing
from edgestream.events import Comment, Draft, Event
from edgestream.sources.picture import Picture
from edgestream.vision.chattiness import Novelty
from edgestream.vision.commentator.stages import CUT, Cost, Counts
from edgestream.vision.gates import Floats, PictureGate, RowGate
from edgestream.vision.governor import Pace
from edgestream.vision.vlm.answer import Answerer
from edgestream.vision.vlm.tower import PictureRows, VisionTower
from edgestream.vision.vlm.units import UnitTemplate

SENTENCE_END = ".!?"
WORDS = re.compile(r"\w+")


@dataclass(slots=True)
class VlmCommentator:
    """One stream's stages in the order that data takes.

    A comment is what a turn says; with `continues` it goes on over the turns after following
    pictures until the model ends it or the shot changes.
    """

    picture_gate: PictureGate  # -> pictures in which something is new
    tower: VisionTower  # -> rows [n, n_embd], maybe with places
    row_gate: RowGate  # -> those that are new at their place
    template: UnitTemplate  # -> a user's turn
    loop: TurnLoop  # -> tokens, while its policy lets it speak
    tokenizer: Tokenizer  # -> text
    novelty: Novelty  # -> comments that are news
    silence: str  # a comment that means nothing
    min_change: float  # that a comment takes, see VlmPolicySpec
    continues: bool
    answerer: Answerer | None = None  # of layouts in which the memory is one stream
    counts: Counts = field(default_factory=Counts)
    cost: Cost = field(default_factory=Cost)
    _pace: Pace | None = None
    _left_ms: float = math.inf  # for the next picture
    _change: float = 0.0  # tiles, since a comment was last asked for
    _tokens: list[int] = field(default_factory=list)  # of the comment that is begun
    _began_ms: float = 0.0
    _began_s: float = 0.0  # of the picture, on the clock of this machine

    def reset(self) -> None:
        """Back to an empty stream."""
        for stage in (self.picture_gate, self.row_gate, self.loop, self.novelty):
            stage.reset()
        self.counts, self.cost = Counts(), Cost()
        self._change, self._tokens = 0.0, []

    def limit(self, pace: Pace, left_ms: float) -> None:
        """Fewer tokens, and smaller pictures where the tower takes pictures of any size."""
        self._pace, self._left_ms = pace, left_ms

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the comment that it brings, if any."""
        self.counts.pictures += 1
        self._began_s, self.cost = time.perf_counter(), Cost()
        change = self.picture_gate.push(picture.rgb)
        events = self._cut() if change.shot else []
        if change.share > 0:
            self._change += change.share
            events += self._see(self._encode(picture), picture.time_ms)
        return events

    def ask(self, question: str) -> Callable[[], str]:
        """Forks what was seen and said; the call gives the answer."""
        if self.answerer is None:
            raise UsageError("only the layout interleaved can be asked")
        return self.answerer.ask(question)

    def interrupt(self) -> list[Event]:
        """What is begun is said as far as it came; what was said before is still remembered."""
        events = self._cut()
        self.picture_gate.reset()
        self.row_gate.reset()
        return events

    def finish(self) -> list[Event]:
        """What is begun is said to its end."""
        if self.continues and self._tokens:
            with computing():
                tokens, _, _ = self.loop.finish()
            self._tokens += tokens.tolist()
        return self._say(self.loop.cut_off)

    def _encode(self, picture: Picture) -> PictureRows:
        self.counts.encoded += 1
        try:
            return self.tower.push(picture.rgb, self._pace.picture_tokens if self._pace else None)
        except ValueError as error:  # far longer than wide
            raise UsageError(str(error)) from None

    def _see(self, rows: PictureRows, time_ms: float) -> list[Event]:
        kept = self.row_gate.push(rows.embeddings)
        self.counts.rows += len(kept)
        if not kept.any():
            self.cost = Cost(1000 * (time.perf_counter() - self._began_s))
            return []
        self.counts.entered += int(kept.sum())
        unit = self.template.push(rows, kept)
        self.loop.set_outside(self._change)
        if self._change >= self.min_change:
            self._change = 0.0
        tokens = self._turn(*unit)
        if tokens and not self._tokens:
            self._began_ms = time_ms
        self._tokens += tokens
        return self._say(self.loop.cut_off, goes_on=self.continues)

    def _turn(self, rows: Floats, axes: NDArray[np.int32] | None) -> list[int]:
        """The tokens of a unit's turn, within what the picture may cost."""
        encoded_ms = 1000 * (time.perf_counter() - self._began_s)
        if self._pace:
            left_ms = max(0.0, self._left_ms - encoded_ms)
            self.loop.limit_turns(max_tokens=self._pace.max_tokens, max_ms=left_ms)
        with computing():
            tokens, _, _ = self.loop.push_unit(rows, axes)
        read_ms = encoded_ms + self.loop.read_ms
        write_ms = 1000 * (time.perf_counter() - self._began_s) - read_ms
        self.cost = Cost(read_ms, write_ms, len(tokens), self.loop.cut_off)
        written: list[int] = tokens.tolist()
        return written

    def _cut(self) -> list[Event]:
        """What was being told of is gone."""
        events = self._say(stopped=True)
        self.loop.cut_turn()
        return events

    def _say(self, stopped: bool, *, goes_on: bool = False) -> list[Event]:
        """The comment that is begun; `stopped` in the middle it may go on with the next one."""
        text = " ".join(self.tokenizer.decode(self._tokens).split())
        if stopped and goes_on:
            return [Draft(text, self._began_ms, self._began_ms)] if text else []
        self._tokens = []
        if stopped:
            text = whole_sentences(text)
        if not WORDS.search(text) or words(text) == words(self.silence):
            return []
        if not self.novelty.push(text, self._began_ms):
            self.counts.repeated += 1
            return []
        return [Comment.of(text, self._began_ms)]


def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return WORDS.findall(text.lower())


def whole_sentences(text: str) -> str:
    """Of a text that was stopped the whole sentences, or all of it with a mark that it was."""
    end = max(text.rfind(f"{mark} ") for mark in SENTENCE_END)
    if text.endswith(tuple(SENTENCE_END)):
        return text
    return text[: end + 1] if end >= 0 else f"{text}{CUT}" if text else ""
