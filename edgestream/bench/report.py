# SPDX-License-Identifier: Apache-2.0
"""Figures of a benchmark as a table for people, as JSON for programs, as a picture."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from edgestream.errors import OutputError, UsageError
from edgestream.library import folders

# What a run is asked to reach; the delay is added to the emission latency.
TARGETS = {
    "rtf": 0.03,
    "step_p99_over_p50": 2.5,
    "emission_over_delay_ms": 160.0,
    "startup_s": 1.5,
    "rss_mb": 300.0,
    "nonspeech_words_per_hour": 2.0,
}
PLOT_INCHES = (9.0, 8.0)
PLOT_DPI = 110


def write_json(figures: dict[str, Any], path: Path) -> None:
    """The figures as one JSON object."""
    try:
        path.write_text(json.dumps(_without_nan(figures), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None


def _without_nan(value: Any) -> Any:
    """JSON has no such number: null instead."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def check_places(json_file: Path | None, plot_file: Path | None) -> None:
    """Before anything is measured: can the results be written? Raises UsageError, OutputError."""
    for path in (json_file, plot_file):
        if path and not path.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
    if plot_file:
        matplotlib_pyplot()


def print_table(figures: dict[str, Any]) -> None:
    """The figures on stdout."""
    title = f"{figures['model']}, delay {figures['delay_ms']:.0f} ms, {figures['machine']['cpu']}"
    print_rows(title, _rows(figures), figures["not_measured"])


def print_rows(title: str, rows: list[tuple[str, str, str]], not_measured: list[str]) -> None:
    """What was measured, how much it was and how much it should be, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title,
        caption="\n".join(f"{part}." for part in not_measured),
        caption_justify="left",
    )
    for heading in ("", "measured", "target"):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _rows(f: dict[str, Any]) -> list[tuple[str, str, str]]:
    limit_ms = f["delay_ms"] + TARGETS["emission_over_delay_ms"]
    slope = f"{number(f['rss_slope_mb_per_hour'], 2)} MB/h"
    rows = [
        ("real-time factor (computing for 1 s of sound)", number(f["rtf"], 4),
         f"≤ {TARGETS['rtf']:g}"),
        ("  in processor time", number(f["rtf_cpu"], 4), ""),
        ("step p50 / p95 / p99", _milliseconds(f, "step", (50, 95, 99), 2), ""),
        ("  in processor time", _milliseconds(f, "step_cpu", (50, 95, 99), 2), ""),
        ("  p99 / p50", number(f["step_p99_over_p50"], 2),
         f"≤ {TARGETS['step_p99_over_p50']:g}"),
        ("  in processor time", number(f["step_cpu_p99_over_p50"], 2), ""),
        ("word end to word shown p50 / p95", _milliseconds(f, "emission", (50, 95), 0), ""),
        ("  with the time for computing", _milliseconds(f, "emission_with_compute", (50, 95), 0),
         f"p50 ≤ {limit_ms:.0f} ms"),
        ("start to first samples taken", f"{number(f['startup_s'], 2)} s",
         f"≤ {TARGETS['startup_s']:g} s"),
        ("memory, most", f"{number(f['rss_mb'], 0)} MB", f"≤ {TARGETS['rss_mb']:g} MB"),
        ("  after 1 / 30 minutes",
         f"{number(f['rss_1min_mb'], 1)} / {number(f['rss_30min_mb'], 1)} MB", ""),
        ("  growth after the first minute", slope, "none"),
    ]  # fmt: skip
    for said in f["speech"]:
        label = f"word error rate, {said['set']}"
        rows.append((label, f"{percent(said['wer'])} of {said['words']}", ""))
    label = f"  in one stream of {f['stream_minutes']:.0f} min"
    rows.append((label, f"{percent(f['wer_stream'])} of {f['wer_stream_words']}", ""))
    return rows + sound_rows(f["nonspeech"])


def sound_rows(nonspeech: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Words written while nobody spoke."""
    rows = []
    for heard in nonspeech:
        per_hour = heard["words"] * 60 / heard["minutes"]
        found = f"{heard['words']} in {heard['minutes']:g} min"
        if heard["minutes"] != 60:
            found += f", {per_hour:.0f} an hour"
        limit = f"≤ {TARGETS['nonspeech_words_per_hour']:g} an hour"
        rows.append((f"words in {heard['kind']}", found, limit))
    return rows


def number(value: float | None, digits: int) -> str:
    """With so many digits behind the point, or "-" where nothing was measured."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """With one digit behind the point."""
    return f"{100 * value:.1f} %"


def _milliseconds(f: dict[str, Any], name: str, percentiles: tuple[int, ...], digits: int) -> str:
    return " / ".join(number(f[f"{name}_p{p}_ms"], digits) for p in percentiles) + " ms"


def draw(figures: dict[str, Any], path: Path) -> None:
    """Latency, step time and memory over the long stream, as a PNG."""
    plt = matplotlib_pyplot()
    series = figures["series"]
    figure, (words, steps, memory) = plt.subplots(
        3, 1, figsize=PLOT_INCHES, dpi=PLOT_DPI, sharex=True, layout="constrained"
    )
    words.plot(series["word_minute"], series["emission_with_compute_ms"], ".", ms=2, color="C0")
    words.axhline(figures["delay_ms"], color="0.5", lw=1, label="chosen delay")
    limit_ms = figures["delay_ms"] + TARGETS["emission_over_delay_ms"]
    words.axhline(limit_ms, color="C3", lw=1, ls="--", label="target for the median")
    words.axhline(figures["emission_with_compute_p50_ms"], color="C0", lw=1, label="median")
    words.set_ylim(0, 2 * limit_ms)
    words.set_ylabel("word shown after\nits end [ms]")
    words.legend(loc="upper right", fontsize=8, ncols=3)
    for percentile in (50, 99):
        times_ms = series[f"step_p{percentile}_ms"]
        steps.plot(series["step_minute"], times_ms, label=f"p{percentile}")
    steps.set_ylim(0, None)
    steps.set_ylabel("decoder step [ms]")
    steps.legend(loc="upper right", fontsize=8, ncols=2)
    draw_memory(memory, figures)
    figure.suptitle(f"edgestream {figures['edgestream']}, {figures['model']}", fontsize=10)
    save(figure, path)


def draw_memory(axes: Any, figures: dict[str, Any]) -> None:
    """Resident memory over the minutes of its stream."""
    axes.plot(figures["memory_series"]["minute"], figures["memory_series"]["rss_mb"], color="C2")
    axes.set_ylim(0, 1.1 * max(figures["rss_mb"] or 0, TARGETS["rss_mb"]))
    axes.axhline(TARGETS["rss_mb"], color="C3", lw=1, ls="--", label="target")
    axes.set_ylabel("resident memory [MB]")
    axes.set_xlabel("minutes of speech heard")
    axes.legend(loc="upper right", fontsize=8)


def save(figure: Any, path: Path) -> None:
    """Writes a figure of pyplot as a PNG and closes it; raises OutputError if it cannot."""
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        matplotlib_pyplot().close(figure)


def matplotlib_pyplot() -> Any:
    """pyplot that draws to files; raises UsageError where matplotlib is missing."""
    os.environ.setdefault("MPLCONFIGDIR", str(folders.home() / "matplotlib"))  # its list of fonts
    try:
        import matplotlib

        matplotlib.use("agg")  # to files, without a display
        import matplotlib.pyplot as plt
    except ImportError:
        raise UsageError(
            "bench: a plot needs matplotlib; pip install 'edgestream[bench]' or leave --plot out"
        ) from None
    return plt
