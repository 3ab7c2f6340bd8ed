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
    percent,
    print_rows,
    save,
)

TARGETS = {"event_f1": 0.9, "false_comments_per_10min": 1.0, "emission_ms": 800.0, "stale_ms": 2e3}


def print_table(figures: dict[str, Any]) -> None:
    """The figures on stdout."""
    title = f"{figures['model']}, {figures['machine']['cpu']}"
    print_rows(title, rows(figures), figures["not_measured"])
    if "clips" in figures:
        print_side_by_side(figures)


def print_side_by_side(f: dict[str, Any]) -> None:
    """The three watchers on real clips, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"side by side on {', '.join(f['clips']['names'])}")
    for heading in ("", *f["clips"]["watchers"]):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in side_by_side(f):
        table.add_row(*row)
    Console().print(table)


def side_by_side(f: dict[str, Any]) -> list[tuple[str, ...]]:
    """What is shown of the clips, and a cell for each watcher."""
    told = f["clips"]["watchers"]
    table: list[tuple[str, ...]] = []
    for light, key in (("", "as_is"), (", 10 % of the light", "dark")):
        scores = [each[key] for each in told.values()]
        cells = (
            (f"event F1{light}", [f"{s['f1']:.3f}" for s in scores]),
            ("  precision / recall", [f"{s['precision']:.2f} / {s['recall']:.2f}" for s in scores]),
            (f"  right, of comments, {scores[0]['events']} events",
             [f"{s['comments_right']} of {s['comments']}" for s in scores]),
            ("  false comments a minute", [f"{s['false_per_minute']:.1f}" for s in scores]),
            ("  event to comment p50 / p95", [_times(s, "late") for s in scores]),
            ("  classes of what is told of", [_classes(s["classes"]) for s in scores]),
        )  # fmt: skip
        table += [(label, *each) for label, each in cells]
    for label, key in (("busy", "core_share_busy"), ("still", "core_share_still")):
        shares = [percent(each[key]) for each in told.values()]
        table.append((f"of one core, 5 pictures a second, {label}", *shares))
    still = [str(f["still_comments"][name]) for name in told]
    table.append((f"comments in {f['still_minutes']:g} still minutes of photographs", *still))
    return table


def _classes(classes: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in classes.items()) or "-"


def rows(f: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is shown, how much it was, how much it should be."""
    events = f"{f['comments_right']} right of {f['comments']}, {f['events']} events"
    still = f"{f['false_comments']} in {f['still_minutes']:g} min of {f['still_of']}"
    return [
        ("pictures a second, one core", number(f["fps"], 0), ""),
        ("  in processor time", number(f["fps_cpu"], 0), ""),
        ("  in processor time, pixel model", number(f["fps_cpu_pixels"], 0), ""),
        ("tokens a second, while it writes", number(f["tokens_per_s"] or None, 0), ""),
        ("dropped before / after the network",
         f"{f['dropped_before_encoder']:.0%} / {f['dropped_after_encoder']:.0%}", ""),
        ("event F1, drawn scenes", f"{f['event_f1']:.3f} ({events})",
         f"≥ {TARGETS['event_f1']:g}"),
        ("  of the pixel model", f"{f['event_f1_pixels']:.3f}", ""),
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
        ("  the same in a row, of the comments / of the events",
         f"{f['circle']} / {f['circle_of_events']} times", ""),
    ]  # fmt: skip


def _ratios(f: dict[str, Any]) -> str:
    return " / ".join(number(f[f"compute_ratio_{name}"], 1) for name in ("still", "busy"))


def _times(f: dict[str, Any], name: str) -> str:
    return " / ".join(number(f[f"{name}_p{p}_ms"], 0) for p in (50, 95)) + " ms"


def draw(figures: dict[str, Any], path: Path) -> None:
    """Latency of the live comments, memory over the file, and F1 on clips if any, as a PNG."""
    plt = matplotlib_pyplot()
    width, height = PLOT_INCHES
    n = 3 if "clips" in figures else 2
    figure, (words, memory, *beside) = plt.subplots(
        n, 1, figsize=(width, height * 0.35 * n), dpi=PLOT_DPI, layout="constrained"
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
    for axes in beside:
        _draw_beside(axes, figures["clips"]["watchers"])
    figure.suptitle(f"edgestream {figures['edgestream']}, {figures['model']}", fontsize=10)
    save(figure, path)


def _draw_beside(axes: Any, told: dict[str, Any]) -> None:
    """Event F1 on the clips, two bars for each watcher."""
    for shift, (label, key) in enumerate((("as it is", "as_is"), ("10 % of the light", "dark"))):
        places = [i + 0.4 * shift for i in range(len(told))]
        axes.bar(places, [each[key]["f1"] for each in told.values()], width=0.38, label=label)
    axes.set_xticks([i + 0.2 for i in range(len(told))], list(told))
    axes.set_ylim(0, 1)
    axes.set_ylabel("event F1, real clips")
    axes.legend(fontsize=8)
