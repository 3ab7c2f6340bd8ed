# SPDX-License-Identifier: Apache-2.0
"""A line first, then its translation."""

from __future__ import annotations

from edgestream.captions.shown_text import printable
from edgestream.events import Draft, Event, Final, Gap, Translation, TranslationDraft

N_TAIL = 3  # words at a sentence's end, by which it is found in the line being spoken


class LineFirst:
    """Holds back a translation whose words are still in the line being spoken: a sentence is read
    and translated as soon as its words are committed, which may be before its line is finished.
    """

    def __init__(self) -> None:
        self._draft = ""
        self._held: list[Event] = []

    def push(self, events: list[Event]) -> list[Event]:
        """The same events, translations perhaps later."""
        return [each for event in events for each in self._push(event)]

    def finish(self) -> list[Event]:
        """What is held; nothing comes any more that it could wait for."""
        held, self._held = self._held, []
        return held

    def _push(self, event: Event) -> list[Event]:
        if isinstance(event, Draft):
            self._draft = " ".join(printable(event.text).split())
        elif isinstance(event, (Final, Gap)):
            self._draft = ""
            return [event, *self.finish()]
        elif isinstance(event, (Translation, TranslationDraft)) and self._is_early(event):
            self._held.append(event)
            return []
        return [event]

    def _is_early(self, event: Translation | TranslationDraft) -> bool:
        if self._held:  # translations stay in order
            return True
        if isinstance(event, TranslationDraft):
            return False
        tail = event.source.split()[-N_TAIL:]
        if not tail:
            return False
        return " ".join(tail) in self._draft or self._goes_on(tail)

    def _goes_on(self, tail: list[str]) -> bool:
        """Whether the line before ended within these words: the one being spoken begins with the
        last of them."""
        words = self._draft.split()
        return any(words[:n] == tail[-n:] for n in range(1, len(tail)))
