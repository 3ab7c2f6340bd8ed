# SPDX-License-Identifier: Apache-2.0
"""What the streaming model of tracks can say of one: a kind and perhaps a side, as tokens."""

from __future__ import annotations

from collections.abc import Sequence

from sim_thing import ENTERS, LEAVES, MOVES, STOPS

SILENCE, END, BOS = 0, 1, 2
SIDES = ("left", "right", "top", "bottom")
WORDS = ("<silence>", "<end>", "<bos>", ENTERS, STOPS, MOVES, LEAVES, *SIDES)
TOKEN = {word: i for i, word in enumerate(WORDS)}
NEEDS_SIDE = {ENTERS: True, MOVES: True, STOPS: False, LEAVES: None}  # None: either
MAX_TOKENS = 3

Saying = tuple[str, str]  # kind; side or direction, empty where there is none


def tokens_of(saying: Saying) -> list[int]:
    """With the end of the turn."""
    return [*(TOKEN[word] for word in saying if word), END]


def saying_of(tokens: Sequence[int]) -> Saying | None:
    """What tokens (without the end) say; None where they are no sentence."""
    words = [WORDS[token] for token in tokens]
    if not words or words[0] not in NEEDS_SIDE or len(words) > 2:
        return None
    side = words[1] if len(words) == 2 else ""
    wanted = NEEDS_SIDE[words[0]]
    if (side and side not in SIDES) or (wanted is not None and wanted != bool(side)):
        return None
    return words[0], side


def lay_out(turns: Sequence[Saying | None], asked: Sequence[bool]) -> tuple[list[int], list[int]]:
    """Rows of a stream, BOS first (-1 - t: row t of tracks), and what follows each; -1: not asked.

    `asked`: whether what follows a row of tracks is learned.
    """
    rows, targets = [BOS], [-1]
    for turn, saying in enumerate(turns):
        words = tokens_of(saying) if saying else []
        first = (words or [SILENCE])[0] if asked[turn] else -1
        rows += [-1 - turn, *words]
        targets += [first, *(words[1:] if asked[turn] else [-1] * len(words[1:]))]
        targets += [-1] * bool(words)
    return rows, targets
