# SPDX-License-Identifier: Apache-2.0
"""Thinking while reading: a thought beside each sentence, a deeper one when all was read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from edgestream.events import Event, Thought
from edgestream.reader.aside import Aside
from edgestream.reader.task import EveryLine, Task
from edgestream.reader.units import Unit

THOUGHT_TOKENS = 24
DEEP_TOKENS = 128
N_KEPT = 16  # short thoughts, about; of the deeper one there is one
BRACKET_TOKENS = 8
MAX_LINE = 400  # characters of a line that are repeated in the question
DEEPER = "Everything was said. What matters most, and what follows from it?"


class Think(Task):
    """Reasons in the order of what is read, and deeper when the source ends, as StreamingThinker
    does (Tong et al. 2025, arXiv 2510.17238). There a model is trained for it, and reads in one
    cache and reasons in another at the same time; here any model is asked in a fork. Thoughts are
    kept in a region of their own, which every later question sees.

    A thought that was had before is not had again. Give it before other tasks: at the end they are
    asked in sight of the deeper thought.
    """

    policy = EveryLine()
    max_tokens = THOUGHT_TOKENS
    region = "thoughts"
    region_rows = N_KEPT * (THOUGHT_TOKENS + BRACKET_TOKENS) + DEEP_TOKENS

    def __init__(self) -> None:
        self._newest: deque[str] = deque(maxlen=N_KEPT)

    def on_unit(self, unit: Unit) -> str:
        """One sentence about the newest one."""
        return f"Say in a few words what this means: {unit.line[:MAX_LINE]}"

    def on_end(self, unit: Unit) -> str:
        """The deeper question."""
        return DEEPER

    def write(self, aside: Aside, question: str) -> str:
        """A short answer, or a longer one at the end; the sentence itself is no thought."""
        most = DEEP_TOKENS if question == DEEPER else self.max_tokens
        thought = aside.ask(question, max_tokens=most)
        return "" if thought in question else thought

    def kept(self, text: str) -> str:
        """As later questions see it."""
        return f"[Thought: {text}]\n" if self._is_new(text) else ""

    def on_text(self, text: str, unit: Unit) -> Iterable[Event]:
        """The thought."""
        if not self._is_new(text):
            return []
        self._newest.append(text)
        return [Thought(text, unit.start_ms, unit.end_ms)]

    def _is_new(self, text: str) -> bool:
        return bool(text) and text not in self._newest
