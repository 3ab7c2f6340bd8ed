# SPDX-License-Identifier: Apache-2.0
"""Running notes: what was said is summed up again and again, and the notes outlive the words."""

from __future__ import annotations

from collections.abc import Iterable

from edgestream.errors import UsageError
from edgestream.events import Event, Note
from edgestream.reader.aside import Aside
from edgestream.reader.sentences import sentences
from edgestream.reader.task import EveryMs, Task
from edgestream.reader.units import Unit

MAX_ASKED = 300  # characters
NOTE_TOKENS = 192  # of all notes together, about
NEW_TOKENS = 64  # of what is added at once
BRACKET_TOKENS = 32  # around them in their region
SO_FAR = "Notes so far"


class Notes(Task):
    """Asks "what was decided so far?" every five minutes, and adds what is new to its notes.

    A sentence that was noted stays, word by word, though what it tells of has left the window long
    ago. When the notes grow long, the model is asked to shorten them; where it gives back their
    beginning alone, as small models do, the oldest sentences leave. The notes have a region of
    their own, which holds the newest ones as a whole and no others.
    """

    region = "notes"
    region_rows = NOTE_TOKENS + BRACKET_TOKENS

    def __init__(self, question: str, every_ms: float) -> None:
        """`every_ms` of the source, counted at the ends of lines.

        Raises UsageError on a question that is empty or longer than MAX_ASKED characters, and on a
        time that is not positive.
        """
        self._question = " ".join(question.split())
        if not 0 < len(self._question) <= MAX_ASKED:
            raise UsageError(
                f"notes: a question of {len(self._question)} characters; give 1 to {MAX_ASKED}"
            )
        if not every_ms > 0:
            raise UsageError(f"notes: every {every_ms:g} ms; give a time above 0")
        self.policy = EveryMs(every_ms)
        self._held: list[str] = []  # sentences; of whoever writes
        self._kept = ""
        self._since_ms = 0.0

    def on_unit(self, unit: Unit) -> str:
        """The user's question; `write` says more of it."""
        return self._question

    def on_end(self, unit: Unit) -> str | None:
        """Once more, unless nothing was said since the last notes."""
        return None if unit.end_ms <= self._since_ms else self._question

    def write(self, aside: Aside, question: str) -> str:
        """All notes, with what is new."""
        held = self._held
        if n_tokens(aside, held) > NOTE_TOKENS - NEW_TOKENS:
            held = self._shortened(aside, held)
        if held:
            question = f"{_so_far(held)}\n\n{question} Write only what is new, in short sentences."
        else:
            question = f"{question} Write short sentences."
        new, rest = sentences(aside.ask(question, max_tokens=NEW_TOKENS))
        said = [each for each in (*new, rest) if each and each not in question]  # not an echo
        self._held = list(dict.fromkeys([*held, *said]))
        return " ".join(self._held)

    def kept(self, text: str) -> str:
        """As later questions see them."""
        if text == self._kept:
            return ""
        self._kept = text
        return f"[{SO_FAR}: {text}]\n" if text else ""

    def on_text(self, text: str, unit: Unit) -> Iterable[Event]:
        """The notes on all that was said, the newest since the last ones."""
        start_ms, self._since_ms = self._since_ms, unit.end_ms
        return [Note(self._question, text, start_ms, unit.end_ms)] if text else []

    def _shortened(self, aside: Aside, held: list[str]) -> list[str]:
        most = NOTE_TOKENS // 2
        asked = f"{_so_far(held)}\n\nShorten these notes. Keep what answers: {self._question}"
        short, _ = sentences(aside.twin().ask(asked, max_tokens=most))
        if short and short != held[: len(short)]:
            return short
        while len(held) > 1 and n_tokens(aside, held) > most:
            held = held[1:]
        return held


def n_tokens(aside: Aside, held: list[str]) -> int:
    """Of notes."""
    return len(aside.tokenizer.encode(" ".join(held), add_special=False))


def _so_far(held: list[str]) -> str:
    return f"{SO_FAR}: {' '.join(held)}"
