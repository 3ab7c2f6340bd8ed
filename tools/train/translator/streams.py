# SPDX-License-Identifier: Apache-2.0
"""Streams of sentences as the rows that a decoder reads, for both layouts.

A row's label is the token that it is to propose; NONE where nothing is asked. `looks` is a word's
number for each row: where the attention is to look, the word that the label needs, or the newest
one when that is not read yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from schedule import Token, draw_paces, lay_out
from sentences import Pair, stream
from toy_vocabulary import END, GROUPED, INTERLEAVED, MARKS, Vocabulary

NONE = -1
WAITING_WEIGHT = 0.3  # of a proposal that the policy refuses, against one that is written
PLAIN, NO_STOP = 0.06, 0.05  # shares of sentences as a speech model may write them


@dataclass(slots=True)
class Rows:
    """Rows of one region, lists of equal length. `word` is the number of an input row's word."""

    tokens: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)  # input rows that an output row sees

    def add(self, token: int, word: int = NONE) -> None:
        """One more row that is asked nothing."""
        self.tokens.append(token)
        self.words.append(word)
        self.labels.append(NONE)
        self.weights.append(0.0)
        self.looks.append(NONE)

    def ask(self, token: Token, read: int, weight: float = 1.0) -> None:
        """The newest row is to propose `token` where `read` words are read."""
        self.labels[-1], self.weights[-1] = token.token, weight
        self.looks[-1] = min(token.needs, read - 1)


@dataclass(frozen=True, slots=True)
class Stream:
    """Sentences, their words as tokens, and what is to be written when."""

    units: list[list[int]]
    tokens: list[Token]


def _as_heard(rng: Random, pair: Pair) -> Pair:
    """A sentence as a speech model may write it: lower case, or without its full stop."""
    draw = rng.random()
    if draw > PLAIN + NO_STOP:
        return pair
    english = list(pair.english)
    if english[-1][-1] == "." or draw < PLAIN:
        english[-1] = english[-1][:-1]
    if draw < PLAIN:
        english = [word.lower().rstrip(MARKS) for word in english]
    return Pair(english, pair.french)


def draw_stream(rng: Random, vocabulary: Vocabulary, most_rows: int) -> Stream:
    """Sentences of at most `most_rows` tokens in both languages together."""
    pairs: list[Pair] = []
    n_rows = 0
    while True:
        pair = _as_heard(rng, stream(rng, held_out=False))
        n_rows += sum(map(len, vocabulary.units(pair))) + len(pair.french) + 1
        if n_rows > most_rows and pairs:
            break
        pairs.append(pair)
    units = [unit for pair in pairs for unit in vocabulary.units(pair)]
    return Stream(units, lay_out(pairs, draw_paces(rng, len(pairs)), vocabulary))


def grouped(drawn: Stream, rng: Random) -> tuple[Rows, Rows, Rows]:
    """Rows of the regions input and output; input begins with the attention sink.

    The third ones are the rows of the output again, each as it is computed at a word that is read
    before its successor may be written; where there is none nothing is asked.
    """
    source, target, waiting = Rows(), Rows(), Rows()
    source.add(GROUPED)
    ends = [1]  # input rows behind each word
    for word, unit in enumerate(drawn.units):
        for token in unit:
            source.add(token, word)
        ends.append(len(source.tokens))
    newest, first = END, 1  # the token before, and the words with which it asks for one more
    for token in drawn.tokens:
        for rows, most in ((target, token.read), (waiting, token.read - 1)):
            rows.add(newest)
            read = most if rows is target else rng.randint(min(first, most), most)
            rows.seen.append(ends[read])
            if rows is target or read >= first:
                rows.ask(token, read, 1.0 if rows is target else WAITING_WEIGHT)
        newest, first = token.token, token.read + (token.token == END)
    return source, target, waiting


def interleaved(drawn: Stream) -> Rows:
    """Rows of the only region, as an InterleavedLoop makes them under a policy."""
    rows = Rows()
    rows.add(INTERLEAVED)
    left = list(reversed(drawn.tokens))
    for word, unit in enumerate(drawn.units):
        for token in unit:
            rows.add(token, word)
        if left:
            _turn(rows, left, word + 1)
    return rows


def _turn(rows: Rows, left: list[Token], read: int) -> None:
    """What is written after a unit; a turn in which something was written is closed by END."""
    written = False
    while left:
        due = left[-1].read <= read
        rows.ask(left[-1], read, 1.0 if due else WAITING_WEIGHT)
        if not due:
            break
        token = left.pop()
        rows.add(token.token)
        written = True
        if token.token == END:
            return
    if written:
        rows.add(END)
