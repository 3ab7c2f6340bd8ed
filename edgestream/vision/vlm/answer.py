# SPDX-License-Identifier: Apache-2.0
"""Answers of a vision-language model to questions aside, from a fork of a stream's memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgestream._native import InterleavedLoop, LoopConfig, RingDecoder
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import UsageError, computing
from edgestream.policy import SilenceThreshold
from edgestream.vision.stages import Unit

MAX_ANSWER_TOKENS = 128
NEVER = 1.0  # is silence likelier than this


@dataclass(slots=True)
class Answerer:
    """Asks on a loop of its own, whose decoder is a fork, so that the stream's sees nothing of it.

    The question is a user's turn of the chat, behind all that the stream read and said.
    """

    ring: RingDecoder
    loop: InterleavedLoop  # over the ring
    tokenizer: Tokenizer
    question_turn: Callable[[str], Sequence[int]]  # its tokens, the answer's opening included
    answer: Sequence[int]  # tokens that open an answer
    ends: Sequence[int]  # tokens, any of which ends an answer
    max_question_tokens: int
    placing: dict[str, Any]  # of the stream's loop: prompt and regions
    text_region: int
    picture_region: int

    def ask(self, question: str, shown: Callable[[], Unit] | None = None) -> Callable[[], str]:
        """Forks the memory; the call gives the answer, on any thread.

        `shown` makes a turn that has a picture and asks the question; it is called with the answer.
        Without it the turn has no picture.

        Raises:
            UsageError: the question is longer than `max_question_tokens`.
        """
        tokens = list(self.question_turn(question))
        if len(tokens) > self.max_question_tokens:
            raise UsageError(
                f"a question of {len(tokens)} tokens; at most {self.max_question_tokens} fit"
            )
        self.loop.settle()
        if shown:
            seeing = self._aside(self.picture_region, after=self.answer)
            return lambda: self._see(seeing, shown())
        reading = self._aside(self.text_region, before=tokens[:-1])
        return lambda: self._read(reading, tokens[-1:])

    def _aside(
        self, input_region: int, *, before: Sequence[int] = (), after: Sequence[int] = ()
    ) -> InterleavedLoop:
        """A loop over a fork, with these tokens around its only unit."""
        aside = InterleavedLoop(
            self.ring.fork(),
            SilenceThreshold(NEVER),
            LoopConfig(max_tokens_per_unit=MAX_ANSWER_TOKENS, end_of_turn=list(self.ends)),
            input_region=input_region,
            before_unit=list(before),
            after_unit=list(after),
            **self.placing,
        )
        aside.follow(self.loop)
        return aside

    def _see(self, aside: InterleavedLoop, unit: Unit) -> str:
        with computing():
            written, _, _ = aside.push_unit(*unit)
        return self._text(written.tolist())

    def _read(self, aside: InterleavedLoop, last: list[int]) -> str:
        with computing():
            written, _, _ = aside.push_tokens(last)
        return self._text(written.tolist())

    def _text(self, written: list[int]) -> str:
        return " ".join(self.tokenizer.decode(written).split())
