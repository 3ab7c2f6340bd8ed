# SPDX-License-Identifier: Apache-2.0
"""Tokens to words: bytes to characters, characters to words, punctuation to the word it follows.

A word is known to be whole when the next one has begun or nothing more can come. A character whose
bytes lie in several tokens waits for all of them; bytes that are none are dropped.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from edgestream.captions.shown_text import columns, filtered
from edgestream.captions.writing_systems import (
    DASHES,
    clusters,
    ends_sentence,
    is_mark,
    is_opener,
    starts_word,
)

WORD_COLUMNS = 40  # no word that people say is wider; without it a model could grow one for ever
MARK_COLUMNS = 42  # with the punctuation around it
WORD_CHARS = 160  # marks over letters take no columns


@dataclass(slots=True)
class SpokenWord:
    """A word with times of the stream: heard from `begin_ms` (None: unknown) to `end_ms`."""

    text: str
    spaced: bool  # from the word before
    begin_ms: float | None
    end_ms: float
    shown_ms: float
    begun_ms: float  # it began before that
    last: bool = False  # nothing is heard right behind it

    @property
    def is_mark(self) -> bool:
        """Whether it is punctuation alone so far."""
        return is_mark(self.text)


class WordBuilder:
    """Collects the words of one stream."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self.open: list[SpokenWord] = []  # not known to be whole
        self._space = False  # stands before what follows
        self._space_ms: float | None = None  # when the space told that a word has ended

    @property
    def open_text(self) -> str:
        """The words that are open, as they follow the line."""
        return "".join(" " * word.spaced + word.text for word in self.open)

    def draft_text(self, tokens: bytes) -> str:
        """Open words and the tokens that may follow, less a character that lacks bytes."""
        begun, _ = self._decoder.getstate()
        behind = filtered((begun + tokens).decode("utf-8", "ignore"))
        return self.open_text + " " * self._space + behind

    @property
    def lacks_bytes(self) -> bool:
        """Whether a character is not whole."""
        return bool(self._decoder.getstate()[0])

    def push(
        self, token: bytes, begin_ms: float | None, end_ms: float, shown_ms: float, *, first: bool
    ) -> list[SpokenWord]:
        """A token to the words that are whole by it.

        `begin_ms` to `end_ms`: where it was heard; `first`: a word ends with its first token.
        """
        text = filtered(self._decoder.decode(token))
        token_start = True
        for cluster in _parts(text):
            if cluster == " ":
                self._space, self._space_ms = True, end_ms if first else None
                continue
            if self._goes_on(cluster, token_start):
                self._extend(cluster, begin_ms, end_ms, shown_ms, first=first)
            else:
                ended_ms = end_ms if self._space_ms is None else self._space_ms
                self._begin(
                    SpokenWord(cluster, self._space, begin_ms, ended_ms, shown_ms, ended_ms)
                )
            self._space, self._space_ms, token_start = False, None, False
        return self._whole()

    def finish(self) -> list[SpokenWord]:
        """Nothing more comes: the words that were open."""
        self._settle()
        words = [word for word in self.open if not word.is_mark]
        for word in words[-1:]:
            word.last = True
        self.reset()
        return words

    def _goes_on(self, cluster: str, token_start: bool) -> bool:
        """Whether a character belongs to the last word."""
        if self._space or not self.open or not _fits(self.open[-1].text + cluster):
            return False
        return not starts_word(self.open[-1].text, cluster[0], token_start=token_start)

    def _begin(self, word: SpokenWord) -> None:
        self._settle()
        self.open.append(word)

    def _extend(
        self, cluster: str, begin_ms: float | None, end_ms: float, shown_ms: float, *, first: bool
    ) -> None:
        """It lasts as long as its letters do, not as long as its comma."""
        word = self.open[-1]
        if word.is_mark:
            word.begin_ms = begin_ms
        if not is_mark(cluster) and (word.is_mark or not first):
            word.end_ms = end_ms
        word.text, word.shown_ms = word.text + cluster, shown_ms

    def _settle(self) -> None:
        """The last word gets no more letters: if it is punctuation, it goes to a neighbour."""
        if len(self.open) < 2 or not self.open[-1].is_mark:
            return
        mark, before = self.open[-1], self.open[-2]
        if is_opener(mark.text[-1]) or _is_dialogue(before.text, mark.text):
            return
        del self.open[-1]
        tight = mark.text[0] in ",.\u2026" or not mark.spaced
        text = before.text + (mark.text if tight else f" {mark.text}")
        if _fits(text, MARK_COLUMNS):  # no more of it is worth showing
            before.text, before.shown_ms = text, mark.shown_ms

    def _whole(self) -> list[SpokenWord]:
        """Takes the words behind which another has letters."""
        words: list[SpokenWord] = []
        while len(self.open) > 1 and not self.open[-1].is_mark:
            word = self.open.pop(0)
            if word.is_mark:  # it opens the next
                follower = self.open[0]
                follower.text = f"{word.text}{' ' * follower.spaced}{follower.text}"
                follower.spaced = word.spaced
            else:
                words.append(word)
        return words


def _fits(text: str, width: int = WORD_COLUMNS) -> bool:
    return columns(text) <= width and len(text) <= WORD_CHARS


def _is_dialogue(before: str, mark: str) -> bool:
    """Whether a dash says that somebody else speaks now."""
    return mark in DASHES and (before[-1] == "." or ends_sentence(before[-1]))


def _parts(text: str) -> list[str]:
    """Characters as readers count them, and spaces."""
    parts: list[str] = []
    for i, chunk in enumerate(text.split(" ")):
        parts += [" "] * (i > 0)
        parts += clusters(chunk)
    return parts
