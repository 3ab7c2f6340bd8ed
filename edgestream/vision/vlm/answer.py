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
    ends: Sequence[int]  # tokens, any of which ends an answer
    max_question_tokens: int
    placing: dict[str, Any]  # of the stream's loop: prompt and regions

    def ask(self, question: str) -> Callable[[], str]:
        """Forks the memory; the call gives the answer, on any thread.

        Raises:
            UsageError: the question is longer than `max_question_tokens`.
        """
        tokens = list(self.question_turn(question))
        if len(tokens) > self.max_question_tokens:
            raise UsageError(
                f"a question of {len(tokens)} tokens; at most {self.max_question_tokens} fit"
            )
        self.loop.settle()
        aside = InterleavedLoop(
            self.ring.fork(),
            SilenceThreshold(NEVER),
            LoopConfig(max_tokens_per_unit=MAX_ANSWER_TOKENS, end_of_turn=list(self.ends)),
            before_unit=tokens[:-1],
            **self.placing,
        )
        aside.follow(self.loop)
        return lambda: self._answer(aside, tokens[-1:])

    def _answer(self, aside: InterleavedLoop, last: list[int]) -> str:
        with computing():
            written, _, _ = aside.push_tokens(last)
        return " ".join(self.tokenizer.decode(written.tolist()).split())
