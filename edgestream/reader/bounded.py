# SPDX-License-Identifier: Apache-2.0
"""A model writes within a grammar."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream._native import Decoder, GgufModel
from edgestream.decoder.rows import token_rows
from edgestream.errors import OperationError, computing
from edgestream.reader.grammar import Grammar


def write_bounded(
    decoder: Decoder,
    weights: GgufModel,
    grammar: Grammar,
    tokens: Sequence[int],
    *,
    max_tokens: int,
    region: int = 0,
) -> list[int]:
    """Reads tokens and then writes the likeliest that the grammar allows, until the text is whole.

    Args:
        decoder: a memory; what is read and written stays in it, so it is a fork, mostly.
        weights: those of the decoder.
        grammar: at its beginning; used up afterwards, until its `reset()`.
        tokens: what is read before, at least one, such as a question and the answer's opening.
        max_tokens: of the text.
        region: of the decoder, for all of them.

    Raises:
        OperationError: the text is not whole after so many tokens.
    """
    written: list[int] = []
    rest = tokens
    while not grammar.may_end:
        if len(written) == max_tokens:
            raise OperationError(f"grammar: the text is not whole after {max_tokens} tokens")
        with computing():
            logits = decoder.step_groups([(region, token_rows(weights, rest))])[-1]
            token = grammar.allowed(logits)
        grammar.accept(token)
        written.append(token)
        rest = [token]
    return written
