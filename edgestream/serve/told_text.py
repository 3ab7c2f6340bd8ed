# SPDX-License-Identifier: Apache-2.0
"""Lines and the draft behind them as one text that only grows, for protocols in which nothing that
was told can be taken back."""

from __future__ import annotations

from collections.abc import Iterable

from edgestream.captions.shown_text import printable
from edgestream.captions.writing_systems import UNSPACED, ends_sentence
from edgestream.events import Draft, Event, Final

CLOSERS = "\"')]}»”\u2019"  # may stand behind the mark that ends a sentence
LINE_WORDS = 4  # of a line at the least (see captions/lines.py); "No. 5" ends none


def joined(lines: Iterable[str]) -> str:
    """One text: with a space between two lines, but for scripts that write none."""
    text = ""
    for line in lines:
        text += f"{separator(text, line)}{line}"
    return text


def separator(before: str, line: str) -> str:
    """What stands between a text and the line behind it."""
    return " " if before and line and not UNSPACED.match(line[0]) else ""


class ToldText:
    """Of one item: `push` gives what can be told more. Joined, that is `text` at the end.

    A line may end within what is final of its draft. Of a draft no more is told than its first
    sentence, as the line most often ends there; so `is_level` mostly holds after a Final.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._told = ""

    @property
    def text(self) -> str:
        """All lines, as they are final."""
        return joined(self.lines)

    @property
    def is_level(self) -> bool:
        """Whether no more was told than the lines that are final."""
        return len(self._told) <= len(self.text)

    def push(self, event: Event) -> str:
        """What can be told after this event; often nothing."""
        if isinstance(event, Final):
            if text := printable(event.text):
                self.lines.append(text)
            return self._tell(self.text)
        if isinstance(event, Draft) and event.n_final:
            sure = event.text[: first_sentence(event.text, event.n_final)]
            return self._tell(joined([*self.lines, sure]))
        return ""

    def _tell(self, sure: str) -> str:
        if self._told.startswith(sure):
            return ""
        n_same = len(self._told)
        if not sure.startswith(self._told):  # a line does not begin with every mark
            n_same = _behind_letters(sure, sum(map(str.isalnum, self._told)))
        self._told, more = sure, sure[n_same:]
        return more


def first_sentence(text: str, n_most: int) -> int:
    """How many of the first `n_most` characters are of the first sentence of four words or more."""
    for at in range(1, n_most):
        ends = text[at - 1 : at].isspace() or UNSPACED.match(text[at])
        mark = text[:at].rstrip().rstrip(CLOSERS)[-1:]
        if not ends or not mark or not (mark == "." or ends_sentence(mark)):
            continue
        if len(text[:at].split()) >= LINE_WORDS or UNSPACED.search(text[:at]):
            return len(text[:at].rstrip())
    return n_most


def _behind_letters(text: str, n_letters: int) -> int:
    """Where the text goes on behind so many letters and digits."""
    for at, character in enumerate(text):
        if n_letters == 0:
            return at
        n_letters -= character.isalnum()
    return len(text)
