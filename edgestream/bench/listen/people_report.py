# SPDX-License-Identifier: Apache-2.0
"""What was measured on people as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.bench.report import (
    PLOT_DPI,
    PLOT_INCHES,
    TARGETS,
    draw_memory,
    matplotlib_pyplot,
    number,
    percent,
    print_rows,
    save,
    sound_rows,
)

# What a run on people is asked to reach.
BOUNDS = {
    "wer": 0.075,
    "joined_wer_over_single": 1.1,
    "committed_p50_ms": 1000.0,
    "committed_p90_ms": 1800.0,
    "shown_p50_ms": 600.0,
    "erasure": 0.15,
    "cpu_s_per_s": 0.22,
    "silence_cpu_s_per_s": 0.01,
}


def print_table(figures: dict[str, Any]) -> None:
    """The figures on stdout."""
    title = f"{figures['model']}, {figures['speech']}, {figures['machine']['cpu']}"
    rows = [
        *speech_rows(figures["single"]),
        *stream_rows(figures),
        *sound_rows(figures["nonspeech"]),
        *_condition_rows(figures.get("conditions", [])),
    ]
    print_rows(title, rows, figures["not_measured"])


def speech_rows(f: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of a Tally's figures."""
    committed = f"≤ {BOUNDS['committed_p50_ms']:.0f} / {BOUNDS['committed_p90_ms']:.0f} ms"
    wer = f"{percent(f['wer'])} of {f['words']}, {f['words_too_many']} too many"
    return [
        ("word error rate, single clips", wer, f"≤ {percent(BOUNDS['wer'])}"),
        ("word end to committed p50 / p90", _pair(f, "committed"), committed),
        ("  with the time for computing", _pair(f, "committed_with_compute"), ""),
        ("word end to first shown p50 / p90", _pair(f, "shown"),
         f"p50 ≤ {BOUNDS['shown_p50_ms']:.0f} ms"),
        ("  with the time for computing", _pair(f, "shown_with_compute"), ""),
        ("words taken back, a final word", number(f["erasure"], 3), f"≤ {BOUNDS['erasure']:g}"),
        ("  with all behind the first that changed", number(f["rewriting"], 3), ""),
        (f"lines of fewer than 4 words, of {f['lines']}", str(f["short_lines"]), ""),
        ("processor seconds a second of speech", number(f["cpu_s_per_s"], 3),
         f"≤ {BOUNDS['cpu_s_per_s']:g}"),
    ]  # fmt: skip


def stream_rows(f: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of one reader in one stream, and of the process."""
    return joined_rows(f) + _process_rows(f)


def joined_rows(f: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Of what `bench_people.joined` gives."""
    joined = f["joined"]
    costs = (f["second_cpu_p95_first_fifth_ms"], f["second_cpu_p95_last_fifth_ms"])
    return [
        (f"word error rate, one reader for {f['joined_minutes']:.1f} min",
         f"{percent(joined['wer'])} of {joined['words']}", ""),
        ("  over that of the same clips alone", number(f["joined_wer_over_single"], 2),
         f"≤ {BOUNDS['joined_wer_over_single']:g}"),
        ("  committed p50 / p90", _pair(joined, "committed"), ""),
        ("  first shown p50 / p90", _pair(joined, "shown"), ""),
        ("  words taken back, a final word", number(joined["erasure"], 3), ""),
        (f"  lines of fewer than 4 words, of {joined['lines']}", str(joined["short_lines"]), ""),
        ("  processor seconds a second", number(joined["cpu_s_per_s"], 3), ""),
        ("  a second's cost, p50 / p90", _pair(f, "second_cpu"), ""),
        *([("  a step's cost, p50 / p90", _pair(f, "step_cpu", 2), "")]
          if "step_cpu_p50_ms" in f else []),
        ("  a second's cost, p95 of the first / last fifth",
         f"{costs[0]:.0f} / {costs[1]:.0f} ms", "the same"),
    ]  # fmt: skip


def _process_rows(f: dict[str, Any]) -> list[tuple[str, str, str]]:
    rss = " / ".join(number(f[name], 1) for name in ("rss_1min_mb", "rss_30min_mb"))
    return [
        ("processor seconds a second of silence", number(f["silence_cpu_s_per_s"], 4),
         f"≤ {BOUNDS['silence_cpu_s_per_s']:g}"),
        ("start to first samples taken", f"{number(f['startup_s'], 2)} s",
         f"≤ {TARGETS['startup_s']:g} s"),
        ("memory, most", f"{number(f['rss_mb'], 0)} MB", ""),
        ("  after 1 / 30 minutes", f"{rss} MB", ""),
        ("  growth after the first minute", f"{number(f['rss_slope_mb_per_hour'], 2)} MB/h",
         "none"),
    ]  # fmt: skip


def _condition_rows(rows: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [
        (f"word error rate, {row['condition']}", f"{percent(row['wer'])} of {row['words']}", "")
        for row in rows
    ]


def _pair(f: dict[str, Any], name: str, digits: int = 0) -> str:
    return " / ".join(number(f[f"{name}_p{p}_ms"], digits) for p in (50, 90)) + " ms"


def draw(figures: dict[str, Any], path: Path) -> None:
    """Latency and cost over the joined stream, and memory over its own, as a PNG."""
    plt = matplotlib_pyplot()
    series = figures["series"]
    figure, (words, cost, memory) = plt.subplots(
        3, 1, figsize=PLOT_INCHES, dpi=PLOT_DPI, layout="constrained"
    )
    for name, label in (("committed", "committed"), ("shown", "first shown")):
        words.plot(series["word_minute"], series[f"{name}_after_ms"], ".", ms=2, label=label)
    words.axhline(BOUNDS["committed_p50_ms"], color="0.5", lw=1, label="bound of the median")
    words.set_ylim(-500, 2 * BOUNDS["committed_p90_ms"])
    words.set_ylabel("after a word's\nend [ms]")
    words.legend(loc="upper right", fontsize=8, ncols=3)
    for percentile in (50, 95):
        times_ms = series[f"second_cpu_p{percentile}_ms"]
        cost.plot(series["cost_minute"], times_ms, label=f"p{percentile}")
    cost.set_ylim(0, None)
    cost.set_ylabel("processor time of\na second [ms]")
    cost.set_xlabel("minutes of one reader")
    cost.legend(loc="upper right", fontsize=8, ncols=2)
    draw_memory(memory, figures)
    figure.suptitle(f"edgestream {figures['edgestream']}, {figures['model']}", fontsize=10)
    save(figure, path)
