# SPDX-License-Identifier: Apache-2.0
"""The float64 llama over a memory of regions: who sees whom, and from how far, in full."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from float64_llama import Float64Llama
from tiny_llama import TinyShape


@dataclass
class Row:
    region: int
    sink: bool
    at: int  # on a clock of all regions; the least of its axes
    above: np.ndarray  # [3] each axis less that


class Float64Regions(Float64Llama):
    """Rows enter regions; each row sees what its layout lets it, at the layout's positions.

    `windows` are the regions' in rows. "one-clock": all see all, rows lie where they came;
    `begin_unit` closes what evicted rows left. "grouped": the kept rows of a region lie at
    n_sinks, n_sinks + 1, ... (region 0) or gap, gap + 1, ... (the others; a picture as far apart as
    its axes say), and a region sees itself and those before it. "overlap": it sees the same, and
    rows lie where they came on their region's count; `begin_unit` lets every region go on from the
    greatest count.
    """

    def __init__(
        self,
        shape: TinyShape,
        weights: dict[str, np.ndarray],
        *,
        n_sinks: int,
        windows: list[int],
        layout: str = "one-clock",
        gap: int = 0,
    ) -> None:
        super().__init__(shape, weights, n_sinks=n_sinks, window=sum(windows))
        self.windows, self.layout, self.gap = windows, layout, gap
        self.rows: list[Row] = []
        self.next = [0] * len(windows)

    def step_groups(self, groups: list[tuple]) -> np.ndarray:
        """Appends rows one after the other; returns the logits of each, [n, n_vocab].

        Groups are pairs of a region and rows, or with the rows' axes [n, 3] from the region's next
        position on.
        """
        logits = []
        for region, rows, *axes in groups:
            start = self.next[region]
            for i, row in enumerate(rows):
                own = start + axes[0][i] if axes else np.full(3, self.next[region])
                logits.append(self.enter(region, row, own))
        return np.stack(logits)

    def enter(self, region: int, row: np.ndarray, axes: np.ndarray) -> np.ndarray:
        sink = len(self.rows) < self.n_sinks
        self.rows.append(Row(region, sink, int(axes.min()), axes - axes.min()))
        next_position = max(self.next[region], int(axes.max()) + 1)
        if self.layout == "one-clock" or sink:
            self.next = [next_position] * len(self.windows)
        else:
            self.next[region] = next_position
        return self.step(row[None])

    def begin_unit(self) -> None:
        if self.layout == "overlap":
            self.next = [max(self.next)] * len(self.windows)
        if self.layout == "one-clock":
            kept = [self.rows[r] for i in range(len(self.windows)) for r in self._newest(i)]
            covered = {r.at + i for r in kept for i in range(int(r.above.max()) + 1)}
            for row in kept:
                row.at = self.n_sinks + sum(position < row.at for position in covered)
            self.next = [self.n_sinks + len(covered)] * len(self.windows)

    def _newest(self, region: int) -> list[int]:
        rows = [i for i, r in enumerate(self.rows) if r.region == region and not r.sink]
        return rows[-self.windows[region] :]

    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        own = self.rows[-1]
        sinks = np.arange(min(len(self.rows), self.n_sinks))
        if own.sink:
            return self._on_axes(sinks, own.at - sinks)
        seen = [
            (region, self._newest(region))
            for region in range(len(self.windows))
            if self.layout == "one-clock" or region <= own.region
        ]
        places = {}
        for region, rows in seen:
            first = self.gap if region else self.n_sinks
            for row in rows:
                at = self.rows[row].at
                places[row] = at - self.rows[rows[0]].at + first if self.layout == "grouped" else at
        me = place_of_me = places[len(self.rows) - 1]
        if self.layout != "grouped":
            place_of_me = self.n_sinks + me - min(places.values())
        rows = np.array(list(places), dtype=int)
        distances = me - np.array(list(places.values()), dtype=int)
        return self._on_axes(
            np.concatenate([sinks, rows]), np.concatenate([place_of_me - sinks, distances])
        )

    def _on_axes(self, rows: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self.shape.traits.sections:
            return rows, distances
        above = np.stack([self.rows[r].above for r in rows])
        return rows, distances[:, None] + self.rows[-1].above - above
