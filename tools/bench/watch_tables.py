# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of tools/bench/watch_all.sh into docs/benchmarks.md, between their marks.

    python tools/bench/watch_tables.py OUT docs/benchmarks.md

What is not in the folder OUT stays in the page as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tables import Figures, about, megabytes, put, read, table

from edgestream.bench.watch.report import rows, side_by_side


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
        ("the same in a row, of the comments / of the events",
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


def watched(f: Figures) -> str:
    """Of `edgestream bench watch`."""
    parts = [about(f), summary(f)]
    if "clips" in f:
        heading = f"on {', '.join(f['clips']['names'])}|{'|'.join(f['clips']['watchers'])}"
        stripped = [(label.strip(), *rest) for label, *rest in side_by_side(f)]
        parts += ["### Real clips, side by side", table(heading, *stripped)]
    return "\n\n".join([*parts, "![latency, memory and clips](benchmarks-watch.png)"])


def soaked(f: Figures) -> str:
    """Of watch_soak.py."""
    return f"{about(f)}\n\n{hours(f)}\n\n![memory and events over hours](benchmarks-watch-soak.png)"


def paced(f: Figures) -> str:
    """Of pacing.py."""
    return f"{about(f)}\n\n{slow(f)}"


SECTIONS: dict[str, Callable[[Figures], str]] = {
    "watch": watched, "watch-soak": soaked, "watch-pacing": paced,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    for name, section in SECTIONS.items():
        if (path := args.folder / f"{name}.json").exists():
            put(args.page, section(read(path)), f"<!-- {name} -->", f"<!-- /{name} -->")


if __name__ == "__main__":
    main()
