# SPDX-License-Identifier: Apache-2.0
"""What a server's process takes, read while it runs: memory, threads, files, and how late it is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import psutil
from server_process import ServerProcess

SETTLED_H = 1.0  # of sound, behind which memory must not grow
SETTLED_SHARE = 0.1  # the same in a short run, of all of it


@dataclass(frozen=True, slots=True)
class Reading:
    """`sound_h`: hours of sound that this server heard, over all of its clients."""

    life: int
    wall_s: float
    sound_h: float
    rss_mb: float
    threads: int
    files: int
    answer_ms: float  # until it said that it is well


@dataclass
class Readings:
    """Of one server, over all of its lives."""

    server: ServerProcess
    sound_h: Callable[[], float]
    all: list[Reading] = field(default_factory=list)
    start_s: float = field(default_factory=time.monotonic)

    def take(self) -> None:
        """One more, if the server is there."""
        asked_s = time.monotonic()
        if not self.server.answers():
            return
        answer_ms = 1000 * (time.monotonic() - asked_s)
        try:
            process = self.server.running
            rss_mb = process.memory_info().rss / 1e6
            threads, files = process.num_threads(), process.num_fds()
        except psutil.Error:
            return  # it was killed just now
        self.all.append(
            Reading(
                self.server.n_lives, asked_s - self.start_s, self.sound_h(),
                rss_mb, threads, files, answer_ms,
            )
        )  # fmt: skip

    @property
    def newest_life(self) -> list[Reading]:
        """Those since the last start."""
        return [each for each in self.all if each.life == self.server.n_lives]

    def figures(self) -> dict[str, object]:
        """Of the newest life: memory, its slope, and the most of all else."""
        life = self.newest_life
        settled = _settled(life)
        early = next((r for r in life if r.wall_s >= life[0].wall_s + 600), life[-1])
        return {
            "sound_h": life[-1].sound_h - life[0].sound_h,
            "wall_min": (life[-1].wall_s - life[0].wall_s) / 60,
            "rss_mb_at_10_min": early.rss_mb,
            "rss_mb_at_end": life[-1].rss_mb,
            "rss_mb_most": max(r.rss_mb for r in life),
            "rss_slope_mb_per_hour_of_sound": _slope(settled),
            "threads": _first_and_last(settled, "threads"),
            "files": _first_and_last(settled, "files"),
            "answer_ms_p95": float(np.percentile([r.answer_ms for r in life], 95)),
        }

    def series(self) -> list[dict[str, float]]:
        """All of them, for a plot."""
        return [dataclasses.asdict(reading) for reading in self.all]


def _settled(life: Sequence[Reading]) -> list[Reading]:
    """Without the begin, in which libraries take what they keep."""
    begin_h, end_h = life[0].sound_h, life[-1].sound_h
    from_h = begin_h + min(SETTLED_H, SETTLED_SHARE * (end_h - begin_h))
    return [reading for reading in life if reading.sound_h >= from_h]


def _slope(life: Sequence[Reading]) -> float:
    """MB for each hour of sound, by least squares."""
    if len({reading.sound_h for reading in life}) < 2:
        return 0.0
    return float(np.polyfit([r.sound_h for r in life], [r.rss_mb for r in life], 1)[0])


def _first_and_last(life: Sequence[Reading], name: str) -> dict[str, int]:
    """Medians of its first and its last fifth, and the most."""
    values = [getattr(reading, name) for reading in life]
    fifth = max(1, len(values) // 5)
    first, last = int(np.median(values[:fifth])), int(np.median(values[-fifth:]))
    return {"first": first, "last": last, "most": max(values)}
