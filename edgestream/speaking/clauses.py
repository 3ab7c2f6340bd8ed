# SPDX-License-Identifier: Apache-2.0
"""Text that comes in pieces, cut into clauses: short enough to be heard soon, whole words."""

from __future__ import annotations

from edgestream.captions.line_breaks import BRACKETS, CLOSERS, is_sentence_end
from edgestream.captions.writing_systems import (
    UNSPACED,
    ends_clause,
    ends_sentence,
    is_mark,
    is_opener,
)

LONGEST = 80  # characters, about five seconds of speech
# A comma behind fewer characters than these ends no clause: "Well, I think" is said in one breath.
SOFT_FROM = 12
NO_WORD = 400  # characters without a space are no word any more, and are cut anywhere
DASH = "\u2014"  # stands between two words without spaces


class ClauseCutter:
    """Takes text in any pieces, gives whole clauses: "Hello, Anna. How are" -> "Hello, Anna."

    A clause ends behind a sentence, behind other punctuation, at the end of a line, and where it
    grows longer than LONGEST. Each character is taken alone, so any cutting of the text gives the
    same clauses. Abbreviations and numbers are those of captions ("Dr.", "e.g.", "3.5").
    """

    def __init__(self) -> None:
        self._held = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for the end of its clause."""
        return not self._held

    def push(self, text: str) -> list[str]:
        """Takes text; returns the clauses that ended in it, without spaces around them."""
        found: list[str] = []
        for c in text:
            found += self._take(c)
        return found

    def settle(self) -> list[str]:
        """The clause so far, if it could end here. For when nothing more came for a moment."""
        return self.finish() if _is_clause(self._held) else []

    def finish(self) -> list[str]:
        """What is left, as a clause. The next push begins a new one."""
        held, self._held = self._held.strip(), ""
        return [held] if is_spoken(held) else []

    def _take(self, c: str) -> list[str]:
        if c in "\n\r\u2028\u2029":
            return self.finish()
        if c.isspace():
            if _is_clause(self._held):
                return self.finish()
            if self._held and self._held[-1] != " ":
                self._held += " "
            return self._shorten()
        if _ends_unspaced(self._held) and (not is_mark(c) or is_opener(c)):
            ended = self.finish()
            self._held = c
            return ended
        self._held += c
        return self._shorten()

    def _shorten(self) -> list[str]:
        """A clause that is too long ends at its last space, or where its script lets a line end."""
        if len(self._held) <= LONGEST:
            return []
        at = self._held.rstrip().rfind(" ")
        if at <= 0:
            at = _unspaced_place(self._held)
        rest, self._held = self._held[at:].lstrip(), self._held[:at]
        ended = self.finish() if at > 0 else []
        self._held = rest
        return ended


def is_spoken(text: str) -> bool:
    """Whether there is anything to say: a letter or a digit of any script."""
    return any(c.isalnum() for c in text)


def _is_clause(held: str) -> bool:
    """Whether the text may end where a space follows it."""
    word = held.rsplit(" ", 1)[-1]
    if not word or not is_spoken(held):
        return False
    if is_sentence_end(word, ""):
        return True
    last = word.rstrip(BRACKETS)[-1:]
    return len(held) >= SOFT_FROM and (word == "-" or (last != "" and ends_clause(last)))


def _ends_unspaced(held: str) -> bool:
    """Whether the text ends in a mark that no space follows in its script."""
    core = held.rstrip(CLOSERS.replace(DASH, ""))
    if not core or core[-1].isascii() or not is_spoken(core):
        return False
    if core[-1] == DASH:
        return len(held) >= SOFT_FROM
    return bool(UNSPACED.search(core)) and (ends_sentence(core[-1]) or ends_clause(core[-1]))


def _unspaced_place(held: str) -> int:
    """The last place at which a line may end between two letters of a script without spaces."""
    if len(held) >= NO_WORD:
        return len(held)
    if not UNSPACED.search(held):
        return 0
    from uniseg.linebreak import line_break_boundaries

    places = [
        at
        for at in line_break_boundaries(held)
        if 0 < at < len(held) and (UNSPACED.match(held[at - 1]) or UNSPACED.match(held[at]))
    ]
    return places[-1] if places else 0
