# SPDX-License-Identifier: Apache-2.0
"""Reads captions as a person does: when each word was shown and settled, what was taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgestream.events import Draft, Event, Final
from edgestream.scoring.words import matches, spoken_parts, spoken_words


@dataclass(frozen=True, slots=True)
class ShownWord:
    """A final word, on the clock of what had been heard.

    `shown_ms`: it first stood in a draft or final, at its place and with the letters that it kept.
    `committed_ms`: it could no longer change.
    """

    text: str
    shown_ms: float
    committed_ms: float


class Reader:
    """Takes events as they come and keeps what became final.

    The events of one push are one change of the display: what a draft showed and neither the
    finals nor the draft after them show was taken back, but for a last word that got more letters
    where nothing else changed. `erased` counts such words; words that
    others were put before or behind stay. `rewritten` counts as a screen that can only append has
    to: all words behind the first that changed (the erasure of Arivazhagan et al. 2020,
    "Re-translation versus Streaming for Simultaneous Translation").
    """

    def __init__(self) -> None:
        self.words: list[ShownWord] = []
        self.line_words: list[int] = []  # words of each final line
        self.erased = 0
        self.rewritten = 0
        self._draft: list[str] = []  # on display now
        self._drafts: list[tuple[float, list[str]]] = []  # all since the last final, with times

    def push(self, events: Sequence[Event], heard_ms: float) -> None:
        """The events that came when `heard_ms` of the source had been heard."""
        events = [event for event in events if isinstance(event, (Draft, Final))]
        if not events:
            return
        draft = spoken_words(events[-1].text) if isinstance(events[-1], Draft) else []
        finals = [event for event in events if isinstance(event, Final)]
        now = [word for final in finals for word in spoken_words(final.text)] + draft
        if not _only_grew(self._draft, now):
            self.erased += len(self._draft) - len(matches(self._draft, now))
            self.rewritten += len(self._draft) - _common(self._draft, now)
        for final in finals:
            self._finish_line(final, heard_ms)
        if finals:  # of what was shown behind the lines, only what still is can be of the next
            self._drafts = [(ms, _kept(words, draft)) for ms, words in self._drafts]
        self._draft = draft
        if draft:
            self._drafts.append((heard_ms, draft))

    @property
    def texts(self) -> list[str]:
        """The final words alone."""
        return [word.text for word in self.words]

    def _finish_line(self, final: Final, heard_ms: float) -> None:
        line = spoken_words(final.text)
        committed_ms = _committed_ms(final, line, heard_ms)
        shown_ms = list(committed_ms)
        later: list[tuple[float, list[str]]] = []
        for draft_ms, draft in self._drafts:
            n_used = 0
            for i, j in matches(line, draft):
                shown_ms[i] = min(shown_ms[i], draft_ms)
                n_used = j + 1
            if rest := draft[n_used:]:  # of the line after this one
                later.append((draft_ms, rest))
        self._drafts = later
        self.words += map(ShownWord, line, shown_ms, committed_ms)
        self.line_words.append(len(line))


def _committed_ms(final: Final, line: list[str], heard_ms: float) -> list[float]:
    """For each word of the line; what came after the end of the source came at its end."""
    parts = spoken_parts([word.text for word in final.words])
    found = [heard_ms] * len(line)
    for i, j in matches(line, [text for text, _ in parts]):
        found[i] = min(heard_ms, final.words[parts[j][1]].emitted_ms)
    return found


def _kept(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """The words of `before` that `after` has too, at the place where it has them."""
    return [before[i] for i, _ in matches(before, after)]


def _only_grew(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether letters and words were put behind what was shown, and nothing else."""
    n = len(before)
    if n > len(after):
        return False
    return n == 0 or (before[: n - 1] == after[: n - 1] and after[n - 1].startswith(before[n - 1]))


def _common(before: Sequence[str], after: Sequence[str]) -> int:
    """Words at the start that both have."""
    n = 0
    while n < min(len(before), len(after)) and before[n] == after[n]:
        n += 1
    return n
