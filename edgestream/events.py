# SPDX-License-Identifier: Apache-2.0
"""What a stream says. All times are milliseconds on the source's clock, which starts at 0."""

from __future__ import annotations

from dataclasses import dataclass

READING_MS = 60.0  # a letter, as subtitle guides have it (17 letters a second)
READING_MIN_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Word:
    """One written word; `emitted_ms` of the source had been heard when it was complete."""

    text: str
    start_ms: float
    end_ms: float
    emitted_ms: float


@dataclass(frozen=True, slots=True)
class Draft:
    """The line being spoken, so far. The next Draft or Final replaces it."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Final:
    """A finished line; it never changes."""

    text: str
    words: tuple[Word, ...]
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Comment(Final):
    """What a picture brought; it is shown from `picture_ms` on, for as long as reading takes.

    `picture_ms`: when the picture was taken. `staleness_ms`: how long ago that was when the comment
    was whole; 0 where the clock stands meanwhile (a file that is read fast).
    """

    picture_ms: float
    staleness_ms: float

    @classmethod
    def of(cls, text: str, picture_ms: float) -> Comment:
        """A comment of one picture whose staleness is not known yet."""
        end_ms = picture_ms + max(READING_MIN_MS, READING_MS * len(text))
        return cls(text, (), picture_ms, end_ms, picture_ms, 0.0)


@dataclass(frozen=True, slots=True)
class Gap:
    """Input that was lost: nothing between these times was heard."""

    start_ms: float
    end_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Lag:
    """The device is too slow; `action` says what was given up to keep up."""

    behind_ms: float
    action: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question aside was answered, by what was known at `picture_ms`."""

    question: str
    text: str
    picture_ms: float


@dataclass(frozen=True, slots=True)
class Notice:
    """What is odd about the input, for whoever can mend it; nothing was lost by it."""

    time_ms: float
    text: str


Event = Draft | Final | Gap | Lag | Answer | Notice
