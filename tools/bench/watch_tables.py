# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of tools/bench/watch_all.sh into docs/benchmarks.md, between its two marks.

python tools/bench/watch_tables.py OUT docs/benchmarks.md
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tables import Figures, about, megabytes, read, table, write_page

from edgestream.bench.watch.report import rows

START, END = "<!-- watch -->", "<!-- /watch -->"


def summary(f: Figures) -> str:
    """The table that the command shows, and what both ways of computing cost."""
    costs = [
        (
            f"{name} scene",
            f"{f[f'compute_{name}']['stream_ms']:.1f} ms",
            f"{f[f'compute_{name}']['stateless_ms']:.1f} ms",
            f"{f[f'compute_{name}']['tower_ms']:.1f} ms",
            f"{f[f'compute_ratio_{name}']:.1f}",
            f"{f[f'compute_{name}']['dropped_before']:.0%}",
            f"{f[f'compute_{name}']['dropped_after']:.0%}",
        )
        for name in ("still", "busy")
    ]
    heading = "processor time a picture|stream|stateless|tower alone|ratio"
    heading += "|dropped before the tower|dropped after it"
    stripped = [(label.strip(), *rest) for label, *rest in rows(f)]
    return f"{table('|measured|target', *stripped)}\n\n{table(heading, *costs)}"


def hours(f: Figures) -> str:
    """Of the soak."""
    memory = [
        (f"memory after {minute} min", megabytes(mb))
        for minute, mb in f["rss_mb_at_minutes"].items()
    ]
    f1 = " ".join(f"{value:.2f}" for value in f["event_f1_by_half_hour"])
    cpu = f["cpu_ms_per_picture"]
    return table(
        f"{f['hours']:.1f} hours in one stream|measured",
        *memory,
        ("growth, least squares after the first minute", f"{f['rss_slope_mb_per_hour']:.2f} MB/h"),
        ("processor time a picture, first half hour", f"{cpu['first_half_hour']:.2f} ms"),
        ("processor time a picture, last half hour", f"{cpu['last_half_hour']:.2f} ms"),
        ("event F1 by half hour", f1),
        ("the same words in a row, of the text / of the events",
         f"{f['circle']} / {f['circle_of_events']} times"),
    )  # fmt: skip


def slow(f: Figures) -> str:
    """Of the run before a slow decoder."""
    minutes = f["minutes"] / len(f["parts"])
    lines = []
    for part in f["parts"]:
        stale = part["stale_ms"] or [0.0]
        given_up = ", ".join(
            f"{action} ({n} x)" if n > 1 else action for action, n in part["lags"].items()
        )
        lines.append(
            (
                f"{part['step_ms']:g} ms", f"{part['comments']}", f"{part['cut_off']}",
                f"{part['pictures'] / (60 * minutes):.1f}",
                f"{np.median(stale):.0f} / {max(stale):.0f} ms", f"{part['rss_mb']:.0f} MB",
                given_up,
            )
        )  # fmt: skip
    heading = (
        f"{minutes:g} minutes each, a step takes more|comments|cut off|pictures a second"
        "|staleness, median / most|memory|given up and back"
    )
    return table(heading, *lines)


def measured(folder: Path) -> str:
    """All sections."""
    full, soak, pacing = (
        read(folder / f"{name}.json") for name in ("watch", "watch-soak", "watch-pacing")
    )
    return "\n\n".join(
        [
            about(full), summary(full), "![latency and memory](benchmarks-watch.png)",
            "### Three hours of video", about(soak), hours(soak),
            "![memory and events over hours](benchmarks-watch-soak.png)",
            "### Before a slow decoder", about(pacing), slow(pacing),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    write_page(__doc__, measured, START, END)
