# SPDX-License-Identifier: Apache-2.0
"""What a model does with what it reads: tasks, small classes that anybody can write."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from edgestream.events import Event, Note
from edgestream.reader.aside import MAX_ANSWER, Aside
from edgestream.reader.units import Unit

PROMPT = (
    "You read along while people speak. Answer in one or two short sentences,"
    " from what was said alone."
)


class When(Protocol):
    """After which units a task is asked."""

    def due(self, unit: Unit) -> bool:
        """Whether now; called once for each unit, in order."""


class EveryLine:
    """After each line."""

    def due(self, unit: Unit) -> bool:
        """At a line's end."""
        return unit.ends_line


class EveryWord:
    """After each word."""

    def due(self, unit: Unit) -> bool:
        """At each word."""
        return not unit.ends_line


class EveryMs:
    """At the first line's end after so much time of the source."""

    def __init__(self, interval_ms: float) -> None:
        self._interval_ms = interval_ms
        self._last_ms = 0.0

    def due(self, unit: Unit) -> bool:
        """At a line's end, when the time has passed."""
        if not unit.ends_line or unit.end_ms - self._last_ms < self._interval_ms:
            return False
        self._last_ms = unit.end_ms
        return True


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a task got from elsewhere: `text` enters the task's region, `event` is told."""

    text: str
    event: Event


class Task:
    """A question that is asked again and again about what was read.

    Derive from it and say what differs. An example, which tells once for each line what kind it is:

        class Mood(Task):
            policy = EveryLine()

            def on_unit(self, unit):
                return f"Is this glad, sad or neither: {unit.line}"

            def on_text(self, text, unit):
                return [Note("mood", text, unit.start_ms, unit.end_ms)]

    Attributes:
        prompt: what the model is told before everything. Tasks with the same prompt share a memory.
        policy: when `on_unit` is asked. One that counts, as EveryMs, is for one task alone.
        max_tokens: of an answer.
        told: what is added to the prompt of the memory that it shares.
        region: where the answer is kept for later questions to see; "" keeps nothing. The name of a
            region with a window of its own (see `Memory`).
        region_rows: rows (tokens) of that window.
    """

    prompt: str = PROMPT
    told: str = ""
    policy: When = EveryLine()
    max_tokens: int = MAX_ANSWER
    region: str = ""
    region_rows: int = 0

    def on_unit(self, unit: Unit) -> str | None:
        """The question to be asked now, when all up to `unit` was read; None: none."""
        raise NotImplementedError

    def on_text(self, text: str, unit: Unit) -> Iterable[Event]:
        """What comes of an answer; `unit` is the one that on_unit was given."""
        return [Note("", text, unit.start_ms, unit.end_ms)] if text else []

    def kept(self, text: str) -> str:
        """What of an answer is kept in `region`, at the next line's end; "" for nothing."""
        return f"[{text}]\n" if text else ""

    def on_end(self, unit: Unit) -> str | None:
        """As on_unit, once more when the source has ended; `unit` is the last one."""
        return None

    def write(self, aside: Aside, question: str) -> str:
        """Asks a fork of the memory; on any thread. For tasks that do more than ask."""
        return aside.ask(question, max_tokens=self.max_tokens)

    def arrived(self, unit: Unit, *, wait: bool) -> Iterable[Arrived]:
        """What came from elsewhere since it was asked last, as the result of a tool; asked at each
        line's end, `unit`. `wait`: for what is on its way, so that nothing hangs on time."""
        return ()

    def close(self) -> None:
        """Nothing more is asked; may be repeated."""
