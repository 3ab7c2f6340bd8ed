# SPDX-License-Identifier: Apache-2.0
"""A vision-language model's stages in a row: pictures in, comments out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import UsageError, computing
from edgestream.events import Draft, Event
from edgestream.sources.picture import Picture
from edgestream.vision.gates import Change
from edgestream.vision.stages import CUT, DecodingCommentator, Unit
from edgestream.vision.vlm.answer import Answerer
from edgestream.vision.vlm.tower import PictureRows, VisionTower
from edgestream.vision.vlm.units import UnitTemplate

SENTENCE_END = ".!?"
WORDS = re.compile(r"\w+")


@dataclass(kw_only=True)
class VlmCommentator(DecodingCommentator):
    """A comment is what a turn says; with `continues` it goes on over the turns after following
    pictures until the model ends it or the shot changes.

    Fewer tokens can be had, and smaller pictures where the tower takes pictures of any size.
    """

    tower: VisionTower  # -> rows [n, n_embd], maybe with places
    template: UnitTemplate  # -> a user's turn
    tokenizer: Tokenizer  # -> text
    silence: str  # a comment that means nothing
    min_change: float  # that a comment takes, see VlmPolicySpec
    continues: bool
    answerer: Answerer | None = None  # of layouts in which the memory is one stream
    _change: float = 0.0  # tiles, since a comment was last asked for
    _tokens: list[int] = field(default_factory=list)  # of the comment that is begun
    _began_ms: float = 0.0

    def reset(self) -> None:
        """Back to an empty stream."""
        super().reset()
        self._change, self._tokens = 0.0, []

    def ask(self, question: str) -> Callable[[], str]:
        """Forks what was seen and said; the call gives the answer."""
        if self.answerer is None:
            raise UsageError("only the layout interleaved can be asked")
        return self.answerer.ask(question)

    def interrupt(self) -> list[Event]:
        """What is begun is said as far as it came; what was said before is still remembered."""
        events = self._change_shot()
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

    def _unit(self, picture: Picture, change: Change) -> Unit | None:
        if not change.share:
            return None
        self._change += change.share
        rows = self._encode(picture)
        kept = self.row_gate.push(rows.embeddings)
        self.counts.rows += len(kept)
        if not kept.any():
            return None
        self.counts.entered += int(kept.sum())
        self.loop.set_outside(self._change)
        if self._change >= self.min_change:
            self._change = 0.0
        return self.template.push(rows, kept)

    def _encode(self, picture: Picture) -> PictureRows:
        self.counts.encoded += 1
        try:
            return self.tower.push(picture.rgb, self._pace.picture_tokens if self._pace else None)
        except ValueError as error:  # far longer than wide
            raise UsageError(str(error)) from None

    def _comment(self, tokens: list[int], time_ms: float) -> list[Event]:
        if tokens and not self._tokens:
            self._began_ms = time_ms
        self._tokens += tokens
        return self._say(self.loop.cut_off, goes_on=self.continues)

    def _change_shot(self) -> list[Event]:
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
        text = spoken(text, self.silence, stopped=stopped)
        return self._told(text, self._began_ms) if text else []


def spoken(text: str, silence: str, *, stopped: bool) -> str:
    """What is shown of a text, maybe `stopped` in the middle; nothing of one that says nothing."""
    if stopped:
        text = whole_sentences(text)
    return text if WORDS.search(text) and words(text) != words(silence) else ""


def words(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return WORDS.findall(text.lower())


def whole_sentences(text: str) -> str:
    """Of a text that was stopped the whole sentences, or all of it with a mark that it was."""
    end = max(text.rfind(f"{mark} ") for mark in SENTENCE_END)
    if text.endswith(tuple(SENTENCE_END)):
        return text
    return text[: end + 1] if end >= 0 else f"{text}{CUT}" if text else ""
