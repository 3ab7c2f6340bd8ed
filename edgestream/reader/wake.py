# SPDX-License-Identifier: Apache-2.0
"""Wake phrases: words that are waited for as they are said. Needs no model."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from edgestream.errors import UsageError
from edgestream.events import Alert, Event
from edgestream.reader.model import ReaderModel
from edgestream.reader.sounds import distance, said
from edgestream.reader.units import Unit

TOLERANCE = 0.2  # of the letters of a phrase may be wrong, and of each word of it
SHORT = 2  # letters of a word, up to which none may
JOINED = ((1, 1), (1, 2), (2, 1))  # words of the phrase against words that were heard as one


class Wake:
    """Tells a phrase at the word that completes it, across the ends of lines, once a mention.

    Letters may be wrong: one in five of the phrase, and of each word one in five or one; so a
    phrase of less than five letters must be there as it is, or sound so. Capitals, signs, accents
    and how numbers are written do not count, nor whether two words are written as one.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        """Raises UsageError on a phrase without letters, or no phrases."""
        if not phrases:
            raise UsageError("no wake phrases; give the words to wait for")
        for phrase in phrases:
            if not said(phrase):
                raise UsageError(f"the wake phrase {phrase!r} has no letters")
        self.phrases = tuple(phrases)

    def stage(self, model: ReaderModel | None, *, beside: bool, n_threads: int) -> WakeStage:
        """Its stage; the model is not used."""
        return WakeStage(self.phrases)


@dataclass(frozen=True, slots=True)
class _Match:
    """Of the beginning of a phrase: letters that are wrong, and the first unit of it."""

    wrong: int
    first: int


class _Phrase:
    """One phrase against words that come one by one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = said(text)
        self.n_letters = sum(map(len, self.words))
        self._most_wrong = int(TOLERANCE * self.n_letters)
        # By the newest two words: how each beginning of the phrase may end with that word.
        self._ends: deque[dict[int, _Match]] = deque([{}, {}], maxlen=2)
        self._before: tuple[str, int] = ("", 0)  # the word before, and its unit

    def hear(self, word: str, unit: int) -> _Match | None:
        """A word of the unit of this number; the whole phrase, if it completes it."""
        ends: dict[int, _Match] = {}
        for n_own, n_heard in JOINED:
            if n_heard == 2 and not self._before[0]:
                continue
            heard = word if n_heard == 1 else self._before[0] + word
            first = unit if n_heard == 1 else self._before[1]
            begun = {0: _Match(0, first), **self._ends[-n_heard]}
            for n_before, match in begun.items():
                self._go_on(ends, match, n_before, n_before + n_own, heard, n_heard)
        self._ends.append(ends)
        self._before = (word, unit)
        found = ends.get(len(self.words))
        if found:
            self._ends.extend([{}, {}])
            self._before = ("", 0)
        return found

    def _go_on(
        self, ends: dict[int, _Match], match: _Match, begin: int, end: int, heard: str, n_heard: int
    ) -> None:
        if end > len(self.words):
            return
        own = "".join(self.words[begin:end])
        most = _tolerated(own)
        if end - begin == 2 or n_heard == 2:  # a whole word must not pass for wrong letters
            most = min(most, 1)
        if abs(len(own) - len(heard)) > most + 2:  # never near, not even by sound
            return
        wrong = distance(own, heard)
        total = match.wrong + wrong
        if wrong > most or total > self._most_wrong:
            return
        if end not in ends or total < ends[end].wrong:
            ends[end] = _Match(total, match.first)


def _tolerated(word: str) -> int:
    """Letters of a word that may be wrong."""
    return 0 if len(word) <= SHORT else max(1, int(TOLERANCE * len(word)))


class WakeStage:
    """Wake phrases over one stream."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = [_Phrase(phrase) for phrase in phrases]
        most_words = max(len(phrase.words) for phrase in self._phrases)
        self._newest: deque[Unit] = deque(maxlen=2 * most_words + 2)  # words that a match may span
        self._n_units = 0

    def push(self, unit: Unit) -> list[Event]:
        """A word; the ends of lines do not matter."""
        if unit.ends_line:
            return []
        self._newest.append(unit)
        self._n_units += 1
        found: dict[str, Alert] = {}
        for word in said(unit.text):
            for phrase in self._phrases:
                match = phrase.hear(word, self._n_units)
                if match:
                    found[phrase.text] = self._alert(phrase, match)
        return list(found.values())

    def poll(self) -> list[Event]:
        """Nothing comes later."""
        return []

    def finish(self) -> list[Event]:
        """A phrase that is not whole is none."""
        return []

    def close(self) -> None:
        """There is nothing to let go of."""

    def _alert(self, phrase: _Phrase, match: _Match) -> Alert:
        n_units = min(self._n_units - match.first + 1, len(self._newest))
        units = list(self._newest)[-n_units:]
        return Alert(
            phrase.text,
            " ".join(unit.text for unit in units),
            round(1 - match.wrong / phrase.n_letters, 3),
            min(unit.start_ms for unit in units),
            units[-1].end_ms,
        )
