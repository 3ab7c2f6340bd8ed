# SPDX-License-Identifier: Apache-2.0
"""What was told of tracks against what happened: F1, precision and recall of each kind, delay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sim_thing import ENTERS, LEAVES, MOVES, STOPS, Happened

WITHIN_MS = 1500.0
KINDS = (ENTERS, STOPS, MOVES, LEAVES)


class Told(NamedTuple):
    """A comment in fields. `time_ms`: when it says that it happened; `known_ms`: when it came."""

    time_ms: float
    known_ms: float
    kind: str
    side: str


def pairs(told: Sequence[Told], happened: Sequence[Happened]) -> list[tuple[int, int]]:
    """Which comment is which event, each once, the nearest in time first."""
    near = sorted(
        (abs(t.time_ms - h.time_ms), i, j)
        for i, t in enumerate(told)
        for j, h in enumerate(happened)
        if t.kind == h.kind and t.side in h.sides and abs(t.time_ms - h.time_ms) <= WITHIN_MS
    )
    found: list[tuple[int, int]] = []
    for _, i, j in near:
        if all(i != a and j != b for a, b in found):
            found.append((i, j))
    return found


@dataclass
class Tally:
    """Counts over scenes."""

    told: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    late_ms: list[float] = field(default_factory=list)
    n_false_in_quiet: int = 0
    quiet_ms: float = 0.0

    def add(self, told: Sequence[Told], happened: Sequence[Happened], length_ms: float) -> None:
        """One scene; what happened in its last 1.5 s had no time to be told."""
        until = length_ms - WITHIN_MS
        found = pairs(told, happened)
        skipped = {i for i, j in found if happened[j].time_ms > until}
        skipped |= {
            i for i, t in enumerate(told)
            if t.time_ms > until and i not in {a for a, _ in found}
        }  # fmt: skip
        kept = [t for i, t in enumerate(told) if i not in skipped]
        self.told.update(t.kind for t in kept)
        self.happened.update(h.kind for h in happened if h.time_ms <= until)
        for i, j in found:
            if i not in skipped:
                self.right[happened[j].kind] += 1
                self.late_ms.append(told[i].known_ms - happened[j].time_ms)
        if not happened:
            self.n_false_in_quiet += len(kept)
            self.quiet_ms += length_ms

    def f1(self, kind: str | None = None) -> float:
        """Of one kind, or of all; 1 where nothing happened and nothing was told."""
        counts = (self.right, self.told, self.happened)
        right, told, happened = (c[kind] if kind else c.total() for c in counts)
        return 2 * right / (told + happened) if told + happened else 1.0

    def line(self) -> str:
        """F1, precision, recall, and how late the right ones came."""
        right, told, happened = self.right.total(), self.told.total(), self.happened.total()
        late = np.percentile(self.late_ms, (50, 95)) if self.late_ms else (0, 0)
        kinds = " ".join(f"{k} {self.f1(k):.3f}" for k in KINDS)
        return (
            f"F1 {self.f1():.3f} P {right / max(1, told):.3f} R {right / max(1, happened):.3f}"
            f" of {happened} | {kinds} | late {late[0]:.0f}/{late[1]:.0f} ms"
        )

    def quiet_line(self) -> str:
        """What was told in scenes in which nothing happens."""
        minutes = self.quiet_ms / 60_000
        return f"{self.n_false_in_quiet} in {minutes:.1f} minutes where nothing happens"
