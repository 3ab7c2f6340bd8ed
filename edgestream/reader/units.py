# SPDX-License-Identifier: Apache-2.0
"""What is read along: committed words as they come, out of captions, comments or plain text."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from edgestream.captions.shown_text import printable
from edgestream.events import Draft, Event, Final, Gap


@dataclass(frozen=True, slots=True)
class Unit:
    """A committed word, or the end of a line.

    `text`: the word, `""` at a line's end. `start_ms`, `end_ms`: about when it was said; of a
    line's end those of the whole line. `line`: the whole line, at its end.
    """

    text: str
    start_ms: float
    end_ms: float
    line: str = ""

    @property
    def ends_line(self) -> bool:
        """Whether a line ended."""
        return not self.text


class CommittedWords:
    """Events in, units out: each committed word once, as soon as it is committed.

    The words of a Draft that do not change any more are read before their line is finished. A
    line may end within them; the next line then begins with the rest, and they are not read again.
    """

    def __init__(self) -> None:
        self._ahead: deque[str] = deque()  # words that were read and are in no finished line yet
        self._end_ms = -math.inf  # of the newest unit

    def push(self, event: Event) -> list[Unit]:
        """The units that an event brings."""
        if isinstance(event, Draft):
            return self._draft(event)
        if isinstance(event, Final):
            return self._final(event)
        if isinstance(event, Gap):  # what a draft promised does not come any more
            self._ahead.clear()
        return []

    def _draft(self, draft: Draft) -> list[Unit]:
        """Whole words alone: what no space follows may still grow, by a full stop if nothing else.

        A draft that contradicts what was read is of another line: its Final will tell.
        """
        n_whole = draft.text.rfind(" ", 0, draft.n_final + 1)
        words = printable(draft.text[: max(0, n_whole)]).split()
        n_read = len(self._ahead)
        if words[:n_read] != list(self._ahead):
            return []
        self._ahead.extend(words[n_read:])
        return [self._unit(word, draft.start_ms, draft.end_ms) for word in words[n_read:]]

    def _final(self, final: Final) -> list[Unit]:
        words = printable(final.text).split()
        units = []
        for at, word in enumerate(words):
            if self._ahead and self._ahead[0] == word:
                self._ahead.popleft()
                continue
            self._ahead.clear()
            units.append(self._unit(word, *_times(final, at, len(words))))
        if words:
            line = " ".join(words)
            self._end_ms = max(self._end_ms, final.end_ms)
            units.append(Unit("", final.start_ms, self._end_ms, line))
        return units

    def _unit(self, text: str, start_ms: float, end_ms: float) -> Unit:
        """Times never go back."""
        self._end_ms = max(self._end_ms, end_ms)
        return Unit(text, min(start_ms, self._end_ms), self._end_ms)


def _times(final: Final, at: int, n_words: int) -> tuple[float, float]:
    """When a word of a line was said; where the words have no times, as if all took as long."""
    if len(final.words) == n_words:
        return final.words[at].start_ms, final.words[at].end_ms
    step_ms = (final.end_ms - final.start_ms) / n_words
    return final.start_ms + at * step_ms, final.start_ms + (at + 1) * step_ms
