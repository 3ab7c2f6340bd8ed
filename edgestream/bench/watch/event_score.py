# SPDX-License-Identifier: Apache-2.0
"""Comments beside what happened: which were right, how late, and whether they go in circles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from edgestream.events import Comment

WITHIN_MS = 1500.0
LONGEST_CIRCLE = 40  # words


@dataclass(frozen=True, slots=True)
class Happened:
    """What a viewer saw happen, by the fields of `edgestream.events.Happening`.

    `visible_ms`: from when on it can be seen. `kind`: as `enters`. `where`: the side or direction;
    None where there is none, or where nobody asks for it.
    """

    visible_ms: float
    kind: str
    where: str | None = None


@dataclass(slots=True)
class EventScore:
    """How many comments say what happened, added up over scenes or clips."""

    comments: int = 0
    happened: int = 0
    right: int = 0
    late_ms: list[float] = field(default_factory=list)  # of the right ones, after their event
    classes: Counter[str] = field(default_factory=Counter)  # of the things that were told of

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where there is nothing."""
        total = self.comments + self.happened
        return 2 * self.right / total if total else 0.0

    @property
    def precision(self) -> float:
        """Share of the comments that are right; 0 without any."""
        return self.right / self.comments if self.comments else 0.0

    @property
    def recall(self) -> float:
        """Share of the events that were told; 0 without any."""
        return self.right / self.happened if self.happened else 0.0

    def add(self, comments: Sequence[Comment], happened: Sequence[Happened]) -> None:
        """Counts the comments of one scene or clip, see `right_ones`."""
        told = right_ones(comments, happened)
        self.late_ms += [comment.picture_ms - event.visible_ms for comment, event in told]
        self.comments += len(comments)
        self.happened += len(happened)
        self.right += len(told)
        self.classes.update(
            c.happening.label for c in comments if c.happening and c.happening.label
        )


def right_ones(
    comments: Sequence[Comment], happened: Sequence[Happened]
) -> list[tuple[Comment, Happened]]:
    """Each right comment with its event: kind and side agree, and it began within 1.5 s of it.

    An event is told once, and the nearest pairs are taken first. So of two comments "enters" on one
    visitor the second is wrong.
    """
    pairs = sorted(
        (abs(comment.start_ms - event.visible_ms), i, j)
        for i, comment in enumerate(comments)
        for j, event in enumerate(happened)
        if tells_of(comment, event)
    )
    told: dict[int, int] = {}
    for _, i, j in pairs:
        if i not in told and j not in told.values():
            told[i] = j
    return [(comments[i], happened[j]) for i, j in sorted(told.items())]


def tells_of(comment: Comment, event: Happened) -> bool:
    """Whether the comment speaks of the event."""
    what = comment.happening
    if what is None or abs(comment.start_ms - event.visible_ms) > WITHIN_MS:
        return False
    return what.kind == event.kind and event.where in (None, what.side or what.direction)


def in_a_word(comment: Comment) -> str:
    """What a comment tells of, for `most_repeats`: "enters-left"; its text where it has no fields.

    Of happened events `event_in_a_word` gives the same.
    """
    what = comment.happening
    if what is None:
        return comment.text
    return event_in_a_word(Happened(0.0, what.kind, what.side or what.direction))


def event_in_a_word(event: Happened) -> str:
    """An event for `most_repeats`."""
    return f"{event.kind}-{event.where or ''}"


def most_repeats(words: Sequence[str]) -> int:
    """How many times some words follow themselves without a break: 1 where nothing is repeated.

    What loops says a phrase over and over; phrases of up to LONGEST_CIRCLE words are found.
    """
    most = 1 if words else 0
    for period in range(1, LONGEST_CIRCLE + 1):
        run = 0
        for i in range(period, len(words)):
            run = run + 1 if words[i] == words[i - period] else 0
            most = max(most, run // period + 1)
    return most
