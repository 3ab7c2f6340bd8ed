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
    """The line being spoken, so far. The next Draft or Final replaces it.

    The first `n_final` characters of `text` do not change any more; the line may still end
    within them, and the next one then begins with the rest.
    """

    text: str
    start_ms: float
    end_ms: float
    n_final: int = 0


@dataclass(frozen=True, slots=True)
class Final:
    """A finished line; it never changes."""

    text: str
    words: tuple[Word, ...]
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Happening:
    """What a comment tells of, for programs: "a red vehicle enters from the left" in fields.

    `kind`: of a thing `enters`, `leaves`, `stops`, `moves`, `stays`; of the whole view
    `camera-moves`, `cut`, `light-on`, `light-off`, `covered`, `clear` and others.
    `side`: of the picture (left, right, top, bottom) where it came from or went to.
    `direction`: where it moves to. `track`: the number of the thing, the same as long as it is
    followed. `label`: its class (person, bicycle, vehicle, animal, something).
    `box`: left, top, right, bottom in pixels of the picture. `score`: how sure the class is, 0 to
    1. `zone`: the named part of the picture that it is about. `count`: of how many things.
    """

    kind: str
    side: str | None = None
    direction: str | None = None
    track: int | None = None
    label: str | None = None
    colour: str | None = None
    box: tuple[int, int, int, int] | None = None
    score: float | None = None
    zone: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Comment(Final):
    """What a picture brought; it is shown from `start_ms` on, for as long as reading takes.

    `start_ms`: when it happened. `picture_ms`: when the picture was taken that made it sure.
    `staleness_ms`: how long ago that was when the comment was whole; 0 where the clock stands
    meanwhile (a file that is read fast). `happening`: what it tells of, where the model says it.
    `time`: when it happened by the clock on the wall (ISO 8601 with zone), of live sources.
    """

    picture_ms: float
    staleness_ms: float
    happening: Happening | None = None
    time: str | None = None

    @classmethod
    def of(
        cls,
        text: str,
        picture_ms: float,
        happening: Happening | None = None,
        start_ms: float | None = None,
    ) -> Comment:
        """A comment of one picture whose staleness is not known yet."""
        start_ms = picture_ms if start_ms is None else start_ms
        end_ms = start_ms + max(READING_MIN_MS, READING_MS * len(text))
        return cls(text, (), start_ms, end_ms, picture_ms, 0.0, happening)


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
    """What a question aside was answered, by what was known at `time_ms`."""

    question: str
    text: str
    time_ms: float


@dataclass(frozen=True, slots=True)
class Notice:
    """What is odd about the input, for whoever can mend it; nothing was lost by it."""

    time_ms: float
    text: str


@dataclass(frozen=True, slots=True)
class TranslationDraft:
    """The translation being written, so far. The next TranslationDraft or Translation replaces it;
    one without text ends it: nothing comes of it.

    The first `n_final` characters of `text` do not change any more. `language`: as `fr`.
    """

    text: str
    language: str
    start_ms: float
    end_ms: float
    n_final: int = 0


@dataclass(frozen=True, slots=True)
class Translation:
    """A finished line of a translation; it never changes.

    `source`: what it translates, as it was read. The times are those of `source`. `read_ms`: how
    far the input had been read when the line was whole.
    """

    text: str
    language: str
    source: str
    start_ms: float
    end_ms: float
    read_ms: float


@dataclass(frozen=True, slots=True)
class Note:
    """A note on what was read between two times, written because `question` is asked again and
    again."""

    question: str
    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that was waited for came up, in the line `line`.

    `alert`: what was waited for, in the user's words. `score`: how sure that is, 0 to 1.
    """

    alert: str
    line: str
    score: float
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model made of a sentence for itself, before anybody asked."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that a model called while it read, and what came of it.

    `arguments`: as JSON. `result`: the tool's output, or why there is none (`failed`).
    `start_ms`: how far the input was read when the call began; `end_ms`: when its result was read.
    """

    tool: str
    arguments: str
    result: str
    failed: bool
    start_ms: float
    end_ms: float


Written = Translation | TranslationDraft | Note | Alert | Thought | ToolCall  # beside captions
Event = Draft | Final | Gap | Lag | Answer | Notice | Written
