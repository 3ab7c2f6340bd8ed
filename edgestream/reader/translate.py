# SPDX-License-Identifier: Apache-2.0
"""Simultaneous translation of what is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from edgestream.captions.shown_text import printable
from edgestream.errors import UsageError
from edgestream.events import Event, Translation, TranslationDraft
from edgestream.policy import Policy, choose_policy
from edgestream.reader.model import ReaderModel
from edgestream.reader.translation.languages import language_code
from edgestream.reader.translation.phrasing import phrase
from edgestream.reader.translation.reencoded import ReencodedTranslator
from edgestream.reader.translation.sentence import ends_part
from edgestream.reader.units import Unit
from edgestream.reader.writer import Writer

POLICY = "local-agreement:2"
SOURCE = "en"


class Translator(Protocol):
    """Translates a sentence while it comes."""

    def read(self, words: Sequence[str]) -> None:
        """Words of a sentence."""

    def texts(self) -> tuple[str, str]:
        """The translation of the sentence: what stays of it, and with what may change."""

    def end(self) -> str:
        """The sentence is over; its whole translation."""


class Translate:
    """Translates what is read, sentence by sentence, while it is spoken.

    An example: `es.read(es.listen("talk.wav"), model="qwen.gguf", task=es.Translate("fr"))`.

    For each word comes a TranslationDraft, of which the first part stays, and at the end of each
    sentence a Translation.
    """

    def __init__(
        self, language: str, policy: str | Policy = POLICY, *, source: str = SOURCE
    ) -> None:
        """Args:
            language: into which, a code as `fr`, or its English name.
            policy: how much of a translation stays before its sentence is over: a name of
                docs/policies.md, as `local-agreement:2`, `wait-k:3` or `alignatt:4`.
            source: out of which language.

        Raises UsageError on a language or a policy that is not known.
        """
        self.language, self.source = language_code(language), language_code(source)
        self.policy = choose_policy(policy, "translate", named=True)

    def stage(self, model: ReaderModel | None, *, beside: bool, n_threads: int) -> TranslationStage:
        """As a Reader wants it; raises UsageError without a model."""
        if model is None:
            raise UsageError("a translation needs a model that reads along; give a GGUF file")
        phrasing = phrase(model.chat, model.tokenizer, self.source, self.language)
        translator = ReencodedTranslator(model, phrasing, self.policy, (), n_threads=n_threads)
        return TranslationStage(translator, self.language, beside=beside)


class TranslationStage:
    """Units in, translations out."""

    def __init__(self, translator: Translator, language: str, *, beside: bool) -> None:
        self._translator, self._language = translator, language
        self._writer = Writer(beside=beside)
        self._sentence: list[Unit] = []  # its words so far
        self._n_read = 0  # of them

    def push(self, unit: Unit) -> list[Event]:
        """A unit; the events that are whole by now."""
        if unit.ends_line:
            return self._writer.done()
        return [*self._writer.done(), *self._submit(lambda: self._take(unit))]

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
        over = ends_part(unit.text, len(self._sentence))
        if not over and self._writer.n_waiting > 1:  # more words are there: they come first
            return []
        self._translator.read([each.text for each in self._sentence[self._n_read :]])
        self._n_read = len(self._sentence)
        return self._end() if over else [self._draft()]

    def _draft(self) -> Event:
        stays, whole = (_shown(text) for text in self._translator.texts())
        if not whole.startswith(stays):
            whole = stays
        first, last = self._sentence[0], self._sentence[-1]
        return TranslationDraft(whole, self._language, first.start_ms, last.end_ms, len(stays))

    def _end(self) -> list[Event]:
        if not self._sentence:
            return []
        if self._n_read < len(self._sentence):
            self._translator.read([each.text for each in self._sentence[self._n_read :]])
        text = _shown(self._translator.end())
        source, self._sentence, self._n_read = self._sentence, [], 0
        start_ms, end_ms = source[0].start_ms, source[-1].end_ms
        words = " ".join(unit.text for unit in source)
        return [Translation(text, self._language, words, start_ms, end_ms, end_ms)] if text else []


def _shown(text: str) -> str:
    """On one line, without half a letter at its end."""
    return " ".join(printable(text.rstrip("\ufffd")).split())
