# SPDX-License-Identifier: Apache-2.0
"""Hours of video through one `edgestream watch --fast`: is it still the same at the end?

    python tools/bench/watch_soak.py [--hours 3] [--json FILE] [--plot FILE]

The scenes of `edgestream bench watch`, one after the other in a video file. Memory and processor
time of the command are read every half minute of the video; comments are scored by the half hour.
Linux only; a file of 70 MB an hour is written to the folder for temporary files.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from soak_table import soak_table

from edgestream.bench.machine import describe
from edgestream.bench.process import Memory
from edgestream.bench.watch.event_score import (
    EventScore,
    Happened,
    event_in_a_word,
    in_a_word,
    most_repeats,
)
from edgestream.bench.watch.runs import FILE_FPS, WatchedFile, watch_file, write_video
from edgestream.events import Comment
from edgestream.library.manifest.manifest import DEFAULT_COMMENTATOR
from edgestream.vision.watch import load_watcher

PART_MS = 30 * 60_000.0


def scores(comments: Sequence[Comment], happenings: Sequence[Happened]) -> list[EventScore]:
    """Of each half hour; an event at its edge counts where it happened."""
    n_parts = 1 + int(happenings[-1].visible_ms // PART_MS)
    parts = [EventScore() for _ in range(n_parts)]
    for i, part in enumerate(parts):
        start_ms, end_ms = i * PART_MS, (i + 1) * PART_MS
        part.add(
            [c for c in comments if start_ms <= c.picture_ms < end_ms],
            [h for h in happenings if start_ms <= h.visible_ms < end_ms],
        )
    return parts


def figures_of(watched: WatchedFile, happenings: list[Happened]) -> dict[str, Any]:
    """For the table, JSON and the plot."""
    memory = Memory(watched.readings)
    minutes = np.array(memory.minutes)
    cpu_s = np.array([reading.cpu_s for reading in watched.readings])
    picture_ms = 1000 * np.diff(cpu_s) / (np.diff(minutes) * 60 * FILE_FPS)
    early, late = minutes[1:] < 30, minutes[1:] > minutes[-1] - 30
    said = [in_a_word(comment) for comment in watched.comments]
    known = [event_in_a_word(happening) for happening in happenings]
    return {
        "hours": float(minutes[-1]) / 60,
        "stats": watched.stats,
        "rss_most_mb": memory.most_mb(),
        "rss_mb_at_minutes": {str(m): memory.at(m) for m in (1, 30, 60, 120, 180)},
        "rss_slope_mb_per_hour": memory.slope_mb_per_hour(),
        "cpu_ms_per_picture": {
            "first_half_hour": float(np.median(picture_ms[early])),
            "last_half_hour": float(np.median(picture_ms[late])),
        },
        "event_f1_by_half_hour": [part.f1 for part in scores(watched.comments, happenings)],
        "circle": most_repeats(said),
        "circle_of_events": most_repeats(known),
        "series": {"minute": memory.minutes, "rss_mb": memory.rss_mb},
    }


def show(figures: dict[str, Any]) -> None:
    """The summary."""
    table = soak_table(figures, "cpu_ms_per_picture", "picture")
    by_half_hour = " ".join(f"{f1:.2f}" for f1 in figures["event_f1_by_half_hour"])
    table.add_row("event F1 by half hour", by_half_hour)
    circles = f"{figures['circle']} / {figures['circle_of_events']} times"
    table.add_row("the same in a row, of the comments / of the events", circles)
    Console().print(table, figures["stats"])


def draw(figures: dict[str, Any], path: Path) -> None:
    """Memory and events over the hours, as a PNG."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (memory, events) = plt.subplots(
        2, 1, figsize=(9, 5), dpi=110, sharex=True, layout="constrained"
    )
    memory.plot(np.array(figures["series"]["minute"]) / 60, figures["series"]["rss_mb"], color="C2")
    memory.set_ylim(0, 1.3 * figures["rss_most_mb"])
    memory.set_ylabel("resident memory [MB]")
    f1 = figures["event_f1_by_half_hour"]
    events.bar(0.25 + 0.5 * np.arange(len(f1)), f1, width=0.45)
    events.set_ylabel("event F1")
    events.set_xlabel("hours of video watched")
    figure.savefig(path, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default=DEFAULT_COMMENTATOR)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    model = load_watcher(args.model)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "scenes.avi"
        happenings = write_video(video, 60 * args.hours + 1)
        figures = describe(model) | figures_of(watch_file(model.folder, video), happenings)
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        draw(figures, args.plot)


if __name__ == "__main__":
    main()
