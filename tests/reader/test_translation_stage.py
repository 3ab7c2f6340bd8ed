# SPDX-License-Identifier: Apache-2.0
"""What is told of a sentence of which nothing comes."""

from edgestream.events import TranslationDraft
from edgestream.reader.translation.stage import TranslationStage
from edgestream.reader.units import Unit


class Fickle:
    """Begins to translate, and takes it back."""

    def read(self, words, *, last):
        self._text = "" if last else "Il"

    def texts(self):
        return "", self._text

    def end(self):
        return ""


def test_a_draft_ends_where_nothing_comes_of_its_sentence():
    stage = TranslationStage(Fickle(), "fr", beside=False)
    said = [event for at, word in enumerate(["It", "is", "late."])
            for event in stage.push(Unit(word, at, at + 1))]  # fmt: skip
    assert said == [TranslationDraft("Il", "fr", 0, 1), TranslationDraft("", "fr", 0, 3)]
    assert stage.finish() == []


def test_nothing_is_told_where_nothing_was():
    stage = TranslationStage(Fickle(), "fr", beside=False)
    assert stage.push(Unit("Late.", 0, 1)) == []
