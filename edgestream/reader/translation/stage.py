# SPDX-License-Identifier: Apache-2.0
"""Words in, translations out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edgestream.captions.shown_text import printable
from edgestream.errors import computing
from edgestream.events import Event, Translation, TranslationDraft
from edgestream.reader.translation.sentence import ends_part
from edgestream.reader.units import Unit
from edgestream.reader.writer import Writer

MAX_LATE = 64  # words that wait, before no more should come: some 25 seconds of speech
HALF = "\ufffd"  # a letter whose other half is in the next token


class Translator(Protocol):
    """Translates a sentence while it comes."""

    def read(self, words: Sequence[str], *, last: bool) -> None:
        """Words of a sentence, one at least; `last`: it ends with them."""

    def texts(self) -> tuple[str, str]:
        """The translation of the sentence: what is committed, and that with what may change."""

    def end(self) -> str:
        """The sentence is over: all of its translation is committed."""


class TranslationStage:
    """Sentences of units, wherever lines end.

    On a thread `beside` the source, words that wait are read together: a slow machine translates
    less often, and all is translated.
    """

    def __init__(self, translator: Translator, language: str, *, beside: bool) -> None:
        self._translator, self._language = translator, language
        self._writer = Writer(beside=beside)
        self._sentence: list[Unit] = []  # its words so far
        self._n_read = 0  # of them, by the translator
        self._told = ("", 0)  # of the last draft: text, and how much of it stays

    def push(self, unit: Unit) -> list[Event]:
        """A unit; the events that are whole by now."""
        done = self._writer.done()
        return done if unit.ends_line else [*done, *self._submit(lambda: self._take(unit))]

    @property
    def is_behind(self) -> bool:
        """Whether more than MAX_LATE words wait."""
        return self._writer.n_waiting > MAX_LATE

    def poll(self) -> list[Event]:
        """The events that are whole by now."""
        return self._writer.done()

    def finish(self) -> list[Event]:
        """The source has ended: what is left comes."""
        return [*self._writer.finish(), *self._submit(self._end), *self._writer.finish()]

    def close(self) -> None:
        """Lets go of the thread."""
        self._writer.close()

    def _submit(self, work: Callable[[], list[Event]]) -> list[Event]:
        return self._writer.submit(work, lambda events: events)

    def _take(self, unit: Unit) -> list[Event]:
        self._sentence.append(unit)
        if ends_part(unit.text, len(self._sentence)):
            self._read(last=True)
            return self._end()
        if self._writer.n_waiting > 1:  # more words are there
            return []
        self._read(last=False)
        return self._draft()

    def _read(self, *, last: bool) -> None:
        words = [unit.text for unit in self._sentence[self._n_read :]]
        self._n_read = len(self._sentence)
        if words:
            with computing():
                self._translator.read(words, last=last)

    def _draft(self) -> list[Event]:
        """Where it says something new."""
        stays, text = (_shown(text) for text in self._translator.texts())
        before, self._told = self._told, (text, len(stays))
        if before == self._told:
            return []
        first, last = self._sentence[0], self._sentence[-1]
        return [TranslationDraft(text, self._language, first.start_ms, last.end_ms, len(stays))]

    def _end(self) -> list[Event]:
        if not self._sentence:
            return []
        self._read(last=False)
        with computing():
            text = _shown(self._translator.end())
        source, self._sentence, self._n_read = self._sentence, [], 0
        (drafted, _), self._told = self._told, ("", 0)
        start_ms, end_ms = source[0].start_ms, source[-1].end_ms
        words = " ".join(unit.text for unit in source)
        if text:
            return [Translation(text, self._language, words, start_ms, end_ms, end_ms)]
        return [TranslationDraft("", self._language, start_ms, end_ms)] if drafted else []


def _shown(text: str) -> str:
    """On one line, without half a letter at its end."""
    return " ".join(printable(text.rstrip(HALF)).split())
