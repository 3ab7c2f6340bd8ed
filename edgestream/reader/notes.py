# SPDX-License-Identifier: Apache-2.0
"""Running notes: what was said is summed up again and again, and the notes outlive the words."""

from __future__ import annotations

from collections.abc import Iterable

from edgestream.errors import UsageError
from edgestream.events import Event, Note
from edgestream.reader.task import EveryMs, Task
from edgestream.reader.units import Unit

MAX_ASKED = 300  # characters
NOTE_TOKENS = 96
BRACKET_TOKENS = 16  # around a note in its region
N_KEPT = 2  # notes
SO_FAR = "Notes so far"


class Notes(Task):
    """Asks "what was decided so far?" every five minutes, and keeps the newest answers.

    Each note is written in sight of the one before it, so that a fact of the first minutes may go
    from note to note for hours, long after its words have left the window. The notes have a region
    of their own, which holds the newest one or two as a whole.
    """

    max_tokens = NOTE_TOKENS
    region = "notes"
    region_rows = N_KEPT * (NOTE_TOKENS + BRACKET_TOKENS)

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
        self._newest = ""
        self._since_ms = 0.0

    def on_unit(self, unit: Unit) -> str:
        """What is asked, with the note that is to be brought up to date."""
        asked = f"{self._question} Write short notes."
        if not self._newest:
            return asked
        return f"{SO_FAR}: {self._newest}\n\n{asked} Keep what still matters, and add what is new."

    def on_end(self, unit: Unit) -> str | None:
        """Once more, unless nothing was said since the last note."""
        return None if unit.end_ms <= self._since_ms else self.on_unit(unit)

    def kept(self, text: str) -> str:
        """As later questions see it."""
        return f"[{SO_FAR}: {text}]\n" if text else ""

    def on_text(self, text: str, unit: Unit) -> Iterable[Event]:
        """A note on all that was said since the last one."""
        if not text:
            return []
        self._newest = text
        start_ms, self._since_ms = self._since_ms, unit.end_ms
        return [Note(self._question, text, start_ms, unit.end_ms)]
