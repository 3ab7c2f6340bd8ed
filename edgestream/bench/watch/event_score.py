# SPDX-License-Identifier: Apache-2.0
"""Comments beside what happened: which were right, and whether the text goes in circles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgestream.bench.watch.scenes import Happening
from edgestream.events import Comment

WITHIN_MS = 1500.0
LONGEST_CIRCLE = 40  # words


@dataclass(slots=True)
class EventScore:
    """How many comments say what happened, added up over scenes."""

    comments: int = 0
    happened: int = 0
    right: int = 0
    late_ms: list[float] = field(default_factory=list)  # of the right ones, after their event

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where there is nothing."""
        total = self.comments + self.happened
        return 2 * self.right / total if total else 0.0

    def add(self, comments: Sequence[Comment], happenings: Sequence[Happening]) -> None:
        """A comment is right when its words are those of an event within 1.5 s, each event once.

        The words name kind, subject (size and colour) and direction.
        """
        left = list(happenings)
        for comment in comments:
            fits = [h for h in left if tells_of(comment, h)]
            if fits:
                left.remove(fits[0])
                self.late_ms.append(comment.picture_ms - fits[0].visible_ms)
        self.comments += len(comments)
        self.happened += len(happenings)
        self.right += len(happenings) - len(left)


def tells_of(comment: Comment, happening: Happening) -> bool:
    """Whether the comment speaks of what happened."""
    near = abs(comment.picture_ms - happening.visible_ms) <= WITHIN_MS
    return near and comment.text.lower().rstrip(".") == happening.text


def most_repeats(words: Sequence[str]) -> int:
    """How many times some words follow themselves without a break: 1 where nothing is repeated.

    Text that loops says a phrase over and over; phrases of up to LONGEST_CIRCLE words are found.
    """
    most = 1 if words else 0
    for period in range(1, LONGEST_CIRCLE + 1):
        run = 0
        for i in range(period, len(words)):
            run = run + 1 if words[i] == words[i - period] else 0
            most = max(most, run // period + 1)
    return most
