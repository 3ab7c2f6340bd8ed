# SPDX-License-Identifier: Apache-2.0
"""A question that is asked in a fork of a memory, and its answer."""

from __future__ import annotations

import copy
import weakref

from edgestream._native import (
    InterleavedLoop,
    LoopConfig,
    NgramDrafter,
    RingDecoder,
    SamplerConfig,
)
from edgestream.errors import UsageError, computing
from edgestream.policy import SilenceThreshold
from edgestream.reader.bounded import write_bounded
from edgestream.reader.grammar import Grammar
from edgestream.reader.memory import Memory
from edgestream.reader.sentences import tidy

MAX_QUESTION = 1024  # tokens
MAX_ANSWER = 128  # tokens, where a task says nothing else
NEVER = 1.0  # is silence likelier than this
N_DRAFT = 8  # tokens that are guessed at once: answers repeat what was read
PENALTY = 1.1  # on tokens that were written already: small models go round in circles


class LongQuestionError(UsageError):
    """A question that does not fit; one about another line may."""


class Aside:
    """A fork of a memory as it is now. It may be asked on any thread, once; the memory sees
    nothing of it."""

    def __init__(self, memory: Memory) -> None:
        self._model = memory.model
        self.tokenizer = memory.model.tokenizer
        self._seen = memory.seen
        self._take(memory, memory.fork())

    def twin(self) -> Aside:
        """A fork of this one, for another question; before either is asked."""
        twin = copy.copy(self)
        twin._take(self._memory, self._memory.fork(self._decoder))
        return twin

    def ask(self, question: str, *, max_tokens: int = MAX_ANSWER) -> str:
        """The answer to a question, which closes the user's turn: as whole sentences if it has any.

        Raises LongQuestionError: the question has more than MAX_QUESTION tokens.
        """
        tokens = self._question(question)
        loop = InterleavedLoop(
            self._decoder,
            SilenceThreshold(NEVER),
            LoopConfig(
                max_tokens_per_unit=max_tokens,
                end_of_turn=list(self._model.chat.ends),
                sampler=SamplerConfig(repetition_penalty=PENALTY),
            ),
            before_unit=tokens[:-1],
            n_draft=N_DRAFT,
            drafter=NgramDrafter(),
        )
        loop.go_on(self._seen)
        with computing():
            written, _, _ = loop.push_tokens(tokens[-1:])
        return tidy(self.tokenizer.decode(written.tolist()), cut_off=loop.cut_off)

    def ask_within(self, grammar: Grammar, question: str, *, max_tokens: int = MAX_ANSWER) -> str:
        """An answer that is a whole text of a grammar, which stands at its beginning.

        Raises LongQuestionError as `ask`, and OperationError where it is not whole after
        `max_tokens`.
        """
        tokens = self._question(question)
        written = write_bounded(
            self._decoder, self._model.weights, grammar, tokens, max_tokens=max_tokens
        )
        return self.tokenizer.decode(written)

    def _take(self, memory: Memory, fork: RingDecoder) -> None:
        """The fork is given back when nobody holds this any more."""
        self._memory, self._decoder = memory, fork
        weakref.finalize(self, memory.give_back, fork).atexit = False

    def _question(self, question: str) -> list[int]:
        tokens = self._model.chat.question(question)
        if len(tokens) > MAX_QUESTION:
            raise LongQuestionError(
                f"a question of {len(tokens)} tokens; at most {MAX_QUESTION} fit"
            )
        return tokens
