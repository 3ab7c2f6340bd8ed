# SPDX-License-Identifier: Apache-2.0
"""The float64 decoder with a memory in which attention decides who leaves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from float64_llama import Float64Llama
from tiny_llama import TinyShape

GREATEST_WEIGHT = 4  # rows that a merged row stands for at most


class Float64Retention(Float64Llama):
    """The definition of the retentions `heavy-hitter` and `merge`, one row at a time.

    A row sees the sinks, the kept rows and itself, at distances as if no other row had ever been.
    Before a row that finds `window` rows kept, `evict_rows` of those older than the newest `recent`
    leave: those of least attention mass, or, of the pairs of neighbours of least mass together,
    both rows go up in their mean. A row's mass is the mean over layers and heads of what rows gave
    it, and fades by evict_rows / window at every eviction. `least_gap` is by how little a decision
    was ever made: what is computed less exactly may decide otherwise only below it.
    """

    def __init__(
        self,
        shape: TinyShape,
        weights: dict[str, np.ndarray],
        *,
        n_sinks: int,
        window: int,
        merges: bool,
        recent: int,
        evict_rows: int,
    ) -> None:
        super().__init__(shape, weights, n_sinks=n_sinks, window=window)
        self.merges, self.recent, self.evict_rows = merges, recent, evict_rows
        self.n_written = 0  # rows in self.keys and self.values, means among them
        self.sinks: list[int] = []
        self.kept: list[int] = []
        self.mass: dict[int, float] = {}
        self.n_rows: dict[int, int] = {}  # that a kept row stands for
        self.least_gap = np.inf

    def _one(self, x: np.ndarray) -> np.ndarray:
        if len(self.kept) == self.window:
            self._merge() if self.merges else self._drop()
            for row in self.kept:
                self.mass[row] *= 1 - self.evict_rows / self.window
        new = self._write()
        (self.sinks if self.pos < self.n_sinks else self.kept).append(new)
        logits = super()._one(x)
        seen = self.sinks + self.kept
        for weights in self.weights_seen.values():
            # Of local layers: the nearest ones.
            for row, share in zip(seen[::-1], weights.mean(axis=0)[::-1], strict=False):
                self.mass[row] += share / self.shape.n_layers
        return logits

    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        seen = np.array(self.sinks + self.kept)
        return seen, np.arange(len(seen))[::-1]

    def _weights_of(self, rows: np.ndarray) -> np.ndarray:
        return np.array([self.n_rows[r] for r in rows], dtype=np.float64)

    def _write(self, n_rows: int = 1, mass: float = 0.0) -> int:
        self.n_written += 1
        new = self.n_written - 1
        self.n_rows[new], self.mass[new] = n_rows, mass
        return new

    def _drop(self) -> None:
        free = self.kept[: self.window - self.recent]
        by_mass = sorted(free, key=lambda r: self.mass[r])
        if len(by_mass) > self.evict_rows:
            last, next_one = by_mass[self.evict_rows - 1 : self.evict_rows + 1]
            self.least_gap = min(self.least_gap, self.mass[next_one] - self.mass[last])
        leaving = set(by_mass[: self.evict_rows])
        self.kept = [r for r in self.kept if r not in leaving]

    def _merge(self) -> None:
        free = self.kept[: self.window - self.recent]
        pairs = sorted((self.mass[a] + self.mass[b], a, b) for a, b in pairwise(free))
        newer_of: dict[int, int] = {}
        before = -np.inf
        for mass, a, b in pairs:
            self.least_gap = min(self.least_gap, mass - before)
            before = mass
            if len(newer_of) == self.evict_rows:
                break
            if not {a, b} & {*newer_of, *newer_of.values()}:
                newer_of[a] = b
        merged = {a: self._mean(a, b) for a, b in newer_of.items()}
        gone = set(newer_of.values())
        self.kept = [merged.get(r, r) for r in self.kept if r not in gone]

    def _mean(self, a: int, b: int) -> int:
        n_a, n_b = self.n_rows[a], self.n_rows[b]
        new = self._write(min(n_a + n_b, GREATEST_WEIGHT), self.mass[a] + self.mass[b])
        for rows in (*self.keys, *self.values):
            rows.append((n_a * rows[a] + n_b * rows[b]) / (n_a + n_b))
        return new
