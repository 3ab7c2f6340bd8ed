# SPDX-License-Identifier: Apache-2.0
"""Told events against those that happened: precision, recall and F1 of each kind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from vocabulary import KINDS, Event

WITHIN_MS = 1500


def same(told: Event, happened: Event) -> bool:
    """Whether kind, direction and subject (size and colour) agree."""
    return same_but_subject(told, happened) and (told.size, told.colour) == (
        happened.size,
        happened.colour,
    )


def same_but_subject(told: Event, happened: Event) -> bool:
    """Whether kind and direction agree."""
    return (told.kind, told.side) == (happened.kind, happened.side)


def match(
    told: Sequence[Event], happened: Sequence[Event], agree: Callable[[Event, Event], bool]
) -> list[tuple[Event, Event]]:
    """Pairs within WITHIN_MS that agree, each event in one pair at most, earliest first."""
    left, pairs = sorted(happened, key=lambda e: e.visible_ms), []
    for comment in sorted(told, key=lambda e: e.visible_ms):
        for event in left:
            near = abs(comment.visible_ms - event.visible_ms) <= WITHIN_MS
            if near and agree(comment, event):
                pairs.append((comment, event))
                left.remove(event)
                break
    return pairs


def f1(right: int, told: int, happened: int) -> float:
    """Harmonic mean of precision and recall; 1 where nothing was told and nothing happened."""
    return 2 * right / (told + happened) if told + happened else 1.0


class Score:
    """Counts over streams. Garbled comments count as told, and are never right."""

    def __init__(self) -> None:
        self.told, self.happened, self.right = Counter[str](), Counter[str](), Counter[str]()
        self.right_but_subject = self.garbled = 0
        self.late_ms: list[float] = []

    def add(
        self, told: Sequence[Event | None], happened: Sequence[Event], until_ms: float = math.inf
    ) -> None:
        """One stream; None is a comment that is no sentence of the vocabulary.

        What happened later than `until_ms` had no time to be told and is not counted, nor is what
        was told of it.
        """
        known = [e for e in told if e is not None]
        pairs = match(known, happened, same)
        late = {id(c) for c, e in pairs if e.visible_ms > until_ms}
        paired = {id(c) for c, _ in pairs}
        late |= {id(c) for c in known if c.visible_ms > until_ms and id(c) not in paired}
        known = [c for c in known if id(c) not in late]
        happened = [e for e in happened if e.visible_ms <= until_ms]
        self.garbled += told.count(None)
        self.told.update(e.kind for e in known)
        self.happened.update(e.kind for e in happened)
        self.right_but_subject += len(match(known, happened, same_but_subject))
        for comment, event in match(known, happened, same):
            self.right[event.kind] += 1
            self.late_ms.append(comment.visible_ms - event.visible_ms)

    @property
    def n_told(self) -> int:
        """Comments, garbled ones too."""
        return self.told.total() + self.garbled

    @property
    def f1(self) -> float:
        """Of kind, direction and subject."""
        return f1(self.right.total(), self.n_told, self.happened.total())

    @property
    def f1_but_subject(self) -> float:
        """Of kind and direction alone."""
        return f1(self.right_but_subject, self.n_told, self.happened.total())

    def table(self) -> str:
        """Markdown, one line a kind."""
        lines = ["| kind | happened | told | precision | recall | F1 |", "|---" * 6 + "|"]
        for kind in KINDS:
            right, told, happened = self.right[kind], self.told[kind], self.happened[kind]
            shares = right / max(1, told), right / max(1, happened), f1(right, told, happened)
            cells = [kind, f"{happened}", f"{told}", *(f"{s:.2f}" for s in shares)]
            lines.append(f"| {' | '.join(cells)} |")
        return "\n".join(lines)
