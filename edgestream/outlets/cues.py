# SPDX-License-Identifier: Apache-2.0
"""From words with times to subtitle cues that can be read: short lines, short cues, no overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from edgestream.captions.line_breaks import COLUMNS, NEVER, Unit, place, wrapped
from edgestream.captions.shown_text import columns, printable
from edgestream.captions.writing_systems import clusters, words_of
from edgestream.events import READING_MS, Final

MAX_LINES = 2
MAX_CUE_MS = 7_000
MIN_CUE_MS = 1_000  # shorter ones flash by; kept where there is room
SHORTEST_CUE_MS = 1  # a cue must end after it starts
PAUSE_MS = 1_500  # a silence this long inside a line starts a new cue


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines of text, shown from `start_ms` to `end_ms`: of speech one or two."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word, or as much of it as fits a line."""

    unit: Unit
    start_ms: float
    end_ms: float


class CueCutter:
    """Cut Finals into Cues; times never go back, across Finals too.

    A cue stays until it is read, into the silence behind its words. Whether that is silent shows
    later: what writes to where cues can be changed calls `end_before` then; else the next cue
    waits.
    """

    def __init__(self) -> None:
        self._last_start_ms = self._last_end_ms = 0
        self._last_said_ms = 0  # where the words of the last cue end

    def push(self, final: Final) -> list[Cue]:
        """The cues of one Final, with every word of it, in order."""
        groups = list(_groups(list(_pieces(final))))
        next_starts_ms = [group[0].start_ms for group in groups[1:]]
        return [
            self._timed(group, next_ms) for group, next_ms in zip_longest(groups, next_starts_ms)
        ]

    def end_before(self, time_ms: float) -> int | None:
        """Ends the last cue there, or with its words; its new end if it stood for longer."""
        end_ms = max(round(time_ms), self._last_said_ms, self._last_start_ms + SHORTEST_CUE_MS)
        if end_ms >= self._last_end_ms:
            return None
        self._last_end_ms = end_ms
        return end_ms

    def _timed(self, group: list[_Piece], next_start_ms: float | None) -> Cue:
        lines = _lines(group)
        start_ms = max(round(group[0].start_ms), self._last_end_ms)
        latest_ms = start_ms + MAX_CUE_MS
        said_ms = min(max(round(group[-1].end_ms), start_ms + SHORTEST_CUE_MS), latest_ms)
        end_ms = said_ms
        if start_ms <= round(group[0].start_ms):  # one that was pushed back pushes the next no more
            reading_ms = READING_MS * sum(columns(line) + 1 for line in lines)
            read_ms = min(start_ms + max(MIN_CUE_MS, round(reading_ms)), latest_ms)
            if next_start_ms is not None:
                read_ms = min(read_ms, round(next_start_ms))
            end_ms = max(said_ms, read_ms)
        self._last_start_ms, self._last_said_ms, self._last_end_ms = start_ms, said_ms, end_ms
        return Cue(start_ms, end_ms, lines)


def lines_of(final: Final) -> Iterator[tuple[str, ...]]:
    """All of a Final's text, by one or two lines that could be a cue."""
    return map(_lines, _groups(list(_pieces(final))))


def _lines(group: list[_Piece]) -> tuple[str, ...]:
    lines = wrapped([piece.unit for piece in group])
    assert lines is not None
    return lines


def _pieces(final: Final) -> Iterator[_Piece]:
    """Words, or without them the text spread evenly, with any over-long word cut hard."""
    at, spans = 0, [(w.text, w.start_ms, w.end_ms) for w in final.words]
    for text, start_ms, end_ms in spans or [(final.text, final.start_ms, final.end_ms)]:
        found = final.text.find(text, at)
        at = max(at, found + len(text))
        first_spaced = found < 0 or final.text[found - 1 : found].isspace()
        units = [unit for unit in _units(printable(text)) if unit.text]
        part_ms = max(0.0, end_ms - start_ms) / max(1, len(units))
        for i, unit in enumerate(units):
            spaced = unit.spaced if i else first_spaced
            begin_ms = start_ms + i * part_ms
            yield _Piece(Unit(unit.text, spaced), begin_ms, begin_ms + part_ms)


def _units(text: str) -> Iterator[Unit]:
    for word, spaced in words_of(text):
        part = ""
        for cluster in clusters(word):
            if part and columns(part + cluster) > COLUMNS:
                yield Unit(part, spaced)
                part, spaced = "", False
            part += cluster
        yield Unit(part, spaced)


def _groups(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Runs of pieces that each make a cue, cut at good places where the limits force a cut."""
    group: list[_Piece] = []
    for piece in pieces:
        while group and not _fits([*group, piece]):
            cut = _best_cut([*group, piece])
            yield group[:cut]
            group = group[cut:]
        if group and piece.start_ms - group[-1].end_ms >= PAUSE_MS:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _fits(group: list[_Piece]) -> bool:
    span_ms = group[-1].end_ms - group[0].start_ms
    units = [piece.unit for piece in group]
    return span_ms <= MAX_CUE_MS and wrapped(units, worst=NEVER - 1) is not None


def _best_cut(group: list[_Piece]) -> int:
    """Where to end a cue that the last piece makes too long: the best place in its second half."""
    units = [piece.unit for piece in group]
    half = len(units) // 2
    good = [at for at in range(max(1, half), len(units)) if place(units, at) < NEVER]
    good = good or [at for at in range(1, half) if place(units, at) < NEVER] or [len(units) - 1]
    return min(good, key=lambda at: (place(units, at), -at))
