# SPDX-License-Identifier: Apache-2.0
"""Figures of the commentary as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.bench.report import (
    PLOT_DPI,
    PLOT_INCHES,
    matplotlib_pyplot,
    number,
    print_rows,
    save,
)

TARGETS = {"event_f1": 0.9, "false_comments_per_10min": 1.0, "emission_ms": 800.0, "stale_ms": 2e3}


def print_table(figures: dict[str, Any]) -> None:
    """The figures on stdout."""
    title = f"{figures['model']}, {figures['machine']['cpu']}"
    print_rows(title, rows(figures), figures["not_measured"])


def rows(f: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is shown, how much it was, how much it should be."""
    events = f"{f['comments_right']} right of {f['comments']}, {f['events']} events"
    still = f"{f['false_comments']} in {f['still_minutes']:g} min"
    return [
        ("pictures a second, one core", number(f["fps"], 0), ""),
        ("  in processor time", number(f["fps_cpu"], 0), ""),
        ("tokens a second, while it writes", number(f["tokens_per_s"], 0), ""),
        ("dropped before / after the encoder",
         f"{f['dropped_before_encoder']:.0%} / {f['dropped_after_encoder']:.0%}", ""),
        ("event F1", f"{f['event_f1']:.3f} ({events})", f"≥ {TARGETS['event_f1']:g}"),
        ("comments in ten still minutes", f"{f['false_comments_per_10min']:.1f} ({still})",
         f"≤ {TARGETS['false_comments_per_10min']:g}"),
        ("event visible to comment p50 / p95, in pictures", _times(f, "emission"),
         f"p50 ≤ {TARGETS['emission_ms']:g} ms"),
        (f"glass to word p50 / p95, {f['glass_comments']} comments live",
         _times(f, "glass_to_word"), f"≤ {TARGETS['stale_ms']:g} ms"),
        ("  event visible to word", _times(f, "event_to_word"), ""),
        ("  staleness, as the comments say", _times(f, "staleness"), ""),
        ("memory, most", f"{number(f['rss_mb'], 0)} MB", ""),
        ("  after 1 / 60 minutes",
         f"{number(f['rss_1min_mb'], 1)} / {number(f['rss_60min_mb'], 1)} MB", "flat"),
        ("  growth after the first minute", f"{number(f['rss_slope_mb_per_hour'], 2)} MB/h", "0"),
        ("computing, stateless over stream, still / busy scene", _ratios(f), "≥ 3 / ≥ 1.5"),
        (f"event F1 in one stream of {f['file_minutes']:g} min", f"{f['event_f1_stream']:.3f}", ""),
        ("  the same words in a row, of the text / of the events",
         f"{f['circle']} / {f['circle_of_events']} times", ""),
    ]  # fmt: skip


def _ratios(f: dict[str, Any]) -> str:
    return " / ".join(number(f[f"compute_ratio_{name}"], 1) for name in ("still", "busy"))


def _times(f: dict[str, Any], name: str) -> str:
    return " / ".join(number(f[f"{name}_p{p}_ms"], 0) for p in (50, 95)) + " ms"


def draw(figures: dict[str, Any], path: Path) -> None:
    """Latency of the live comments and memory over the file, as a PNG."""
    plt = matplotlib_pyplot()
    width, height = PLOT_INCHES
    figure, (words, memory) = plt.subplots(
        2, 1, figsize=(width, height * 0.7), dpi=PLOT_DPI, layout="constrained"
    )
    times_ms = sorted(figures["series_live"]["glass_to_word_ms"])
    shares = [100 * (i + 1) / len(times_ms) for i in range(len(times_ms))]
    words.step(times_ms, shares, where="post")
    words.set_xlim(0, None)
    words.set_xlabel("glass to word [ms]")
    words.set_ylabel("comments up to this [%]")
    series = figures["memory_series"]
    memory.plot(series["minute"], series["rss_mb"], color="C2")
    memory.set_ylim(0, 1.3 * (figures["rss_mb"] or 1))
    memory.set_ylabel("resident memory [MB]")
    memory.set_xlabel("minutes of video watched")
    figure.suptitle(f"edgestream {figures['edgestream']}, {figures['model']}", fontsize=10)
    save(figure, path)
