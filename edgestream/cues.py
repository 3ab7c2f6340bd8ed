# SPDX-License-Identifier: Apache-2.0
"""From words with times to subtitle cues that can be read: short lines, short cues, no overlap."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from edgestream.events import Final

LINE_CHARS = 42  # the usual limit of broadcasters' subtitle guides, as are two lines and 7 s
MAX_LINES = 2
MAX_CUE_MS = 7_000
MIN_CUE_MS = 1_000  # shorter ones flash by; kept where there is room
SHORTEST_CUE_MS = 1  # a cue must end after it starts
PAUSE_MS = 1_500  # a silence this long inside a line starts a new cue
SENTENCE_ENDS = (".", "?", "!", "…")
CLAUSE_ENDS = (",", ";", ":")


@dataclass(frozen=True, slots=True)
class Cue:
    """One or two lines of text, shown from `start_ms` to `end_ms`."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """At most a line of unbroken characters."""

    text: str
    start_ms: float
    end_ms: float


class CueCutter:
    """Cut Finals into Cues; times never go back, across Finals too."""

    def __init__(self) -> None:
        self._last_end_ms = 0

    def push(self, final: Final) -> list[Cue]:
        """The cues of one Final, with every word of it, in order."""
        groups = list(_groups(_pieces(final)))
        next_starts_ms = [group[0].start_ms for group in groups[1:]]
        # Words tell when they were spoken, so their cues do not come later and later; a line
        # without them may have come while the one before is still read.
        may_wait_ms = 0 if final.words else MAX_CUE_MS
        timed = zip_longest(groups, next_starts_ms)
        return [self._timed(group, next_ms, may_wait_ms) for group, next_ms in timed]

    def _timed(self, group: list[_Piece], next_start_ms: float | None, may_wait_ms: int) -> Cue:
        start_ms = max(round(group[0].start_ms), self._last_end_ms)
        end_ms = round(group[-1].end_ms)
        late_ms = start_ms - round(group[0].start_ms)
        if late_ms <= may_wait_ms:  # a cue that was pushed back further pushes the next no more
            room_ms = start_ms + MIN_CUE_MS
            if next_start_ms is not None:
                room_ms = min(room_ms, round(next_start_ms))
            end_ms = max(end_ms, room_ms)
        end_ms = min(max(end_ms, start_ms + SHORTEST_CUE_MS), start_ms + MAX_CUE_MS)
        self._last_end_ms = end_ms
        lines = _wrap([piece.text for piece in group])
        assert lines is not None
        return Cue(start_ms, end_ms, lines)


def printable(text: str) -> str:
    """One line: control and surrogate characters dropped, every run of white space one space."""
    kept = (" " if c.isspace() else c for c in text)
    return " ".join("".join(c for c in kept if unicodedata.category(c) not in _UNSEEN).split())


_UNSEEN = ("Cc", "Cs")


def _pieces(final: Final) -> Iterator[_Piece]:
    """Words, or without them the text spread evenly, with any over-long word cut hard."""
    spans = [(w.text, w.start_ms, w.end_ms) for w in final.words]
    for text, start_ms, end_ms in spans or [(final.text, final.start_ms, final.end_ms)]:
        parts = [
            word[at : at + LINE_CHARS]
            for word in printable(text).split(" ")
            for at in range(0, len(word), LINE_CHARS)
        ]
        part_ms = max(0.0, end_ms - start_ms) / max(1, len(parts))
        for i, part in enumerate(parts):
            yield _Piece(part, start_ms + i * part_ms, start_ms + (i + 1) * part_ms)


def _groups(pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """Runs of pieces that each make a cue, cut at punctuation where the limits force a cut."""
    group: list[_Piece] = []
    for piece in pieces:
        while group and not _fits([*group, piece]):
            cut = _best_cut(group)
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
    return span_ms <= MAX_CUE_MS and _wrap([piece.text for piece in group]) is not None


def _best_cut(group: list[_Piece]) -> int:
    """Where to end a full cue: after a sentence or clause in its second half, else at its end."""
    for ends in (SENTENCE_ENDS, CLAUSE_ENDS):
        for cut in range(len(group), len(group) // 2, -1):
            if group[cut - 1].text.endswith(ends):
                return cut
    return len(group)


def _wrap(words: list[str]) -> tuple[str, ...] | None:
    """One line if it fits, else the two most equal ones, else None."""
    whole = " ".join(words)
    if len(whole) <= LINE_CHARS:
        return (whole,)
    best: tuple[str, ...] | None = None
    for cut in range(1, len(words)):
        lines = (" ".join(words[:cut]), " ".join(words[cut:]))
        longest = max(map(len, lines))
        if longest <= LINE_CHARS and (best is None or longest < max(map(len, best))):
            best = lines
    return best
