# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of tools/bench/all.sh into docs/benchmarks.md, between its two marks.

python tools/bench/tables.py OUT docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

START, END = "<!-- measured -->", "<!-- /measured -->"
Figures = dict[str, Any]


def table(heading: str, *rows: Iterable[str]) -> str:
    """A Markdown table; `heading` has its cells separated by |."""
    cells = [cell.strip() for cell in heading.split("|")]
    lines = [cells, ["---"] + ["--:"] * (len(cells) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def read(path: Path) -> Figures:
    """A file of figures."""
    figures: Figures = json.loads(path.read_text(encoding="utf-8"))
    return figures


def write_page(about: str | None, measured: Callable[[Path], str], start: str, end: str) -> None:
    """Runs a tool OUT PAGE: what is `measured` in the folder OUT goes between the page's marks."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", type=Path)
    parser.add_argument("page", type=Path)
    args = parser.parse_args()
    put(args.page, measured(args.folder), start, end)


def put(page: Path, text: str, start: str, end: str) -> None:
    """Writes text between two marks of a page, in the place of what stood there."""
    before, rest = page.read_text(encoding="utf-8").split(start)
    after = rest.split(end)[1]
    page.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def pair(figures: Figures, name: str) -> str:
    return f"{figures[f'{name}_p50_ms']:.0f} / {figures[f'{name}_p95_ms']:.0f} ms"


def megabytes(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.1f} MB"


def about(f: Figures) -> str:
    machine = f["machine"]
    commit = f" at commit `{f['commit']}`" if f["commit"] else ""
    return (
        f"Measured {f['date'][:10]}, edgestream {f['edgestream']}{commit}, model sha256 "
        f"`{f['model_sha256'][:12]}`, on {machine['cpu']} ({machine['cores']} cores,"
        f" {machine['system']}, Python {machine['python']}),"
        f" load {machine['load_average_1min']:.1f} at the start."
    )


def listening(f: Figures) -> str:
    steps = [f"{f[f'step_p{p}_ms']:.2f}" for p in (50, 95, 99)]
    cpu_steps = [f"{f[f'step_cpu_p{p}_ms']:.2f}" for p in (50, 95, 99)]
    delay_ms = f["delay_ms"]
    return table(
        "|measured|target",
        ("real-time factor on one core, by the clock", f"{f['rtf']:.4f}", "≤ 0.03"),
        ("the same in processor time", f"{f['rtf_cpu']:.4f}", ""),
        ("decoder step p50 / p95 / p99", " / ".join(steps) + " ms", ""),
        ("p99 / p50", f"{f['step_p99_over_p50']:.2f}", "≤ 2.5"),
        ("step in processor time", " / ".join(cpu_steps) + " ms", ""),
        ("p99 / p50 in processor time", f"{f['step_cpu_p99_over_p50']:.2f}", ""),
        (f"word end to word shown, p50 / p95, delay {delay_ms:.0f} ms", pair(f, "emission"), ""),
        ("with the time for computing", pair(f, "emission_with_compute"),
         f"p50 ≤ {delay_ms + 160:.0f} ms"),
        ("start to first samples taken", f"{f['startup_s']:.2f} s", "≤ 1.5 s"),
        ("resident memory, most", f"{f['rss_mb']:.0f} MB", "≤ 300 MB"),
        ("after 1 minute", megabytes(f["rss_1min_mb"]), ""),
        ("after 30 minutes", megabytes(f["rss_30min_mb"]), ""),
    )  # fmt: skip


def words(f: Figures) -> str:
    rows = []
    for said in f["speech"]:
        worst = max(said["wer_by_voice"], key=said["wer_by_voice"].get)
        wer = said["wer_by_voice"][worst]
        cells = (said["set"], str(said["words"]), percent(said["wer"]), f"{percent(wer)} ({worst})")
        rows.append(cells)
    first = f["speech"][0]["set"]
    label = f"{first}, one stream of {f['stream_minutes']:.0f} min"
    rows.append((label, str(f["wer_stream_words"]), percent(f["wer_stream"]), ""))
    return table("speech | words | word error rate | worst voice", *rows)


def voices(f: Figures) -> str:
    found = {v: wer for said in f["speech"][:2] for v, wer in said["wer_by_voice"].items()}
    return table("voice, everyday | word error rate", *((v, percent(w)) for v, w in found.items()))


def sounds(f: Figures) -> str:
    rows = [(s["kind"], f"{s['minutes']:g} min", str(s["words"])) for s in f["nonspeech"]]
    return table("sound | heard | words written", *rows)


def delays(f: Figures) -> str:
    rows = [
        (f"{row['delay_ms']:.0f} ms", percent(row["wer"]), pair(row, "emission"))
        for row in f["delays"]
    ]
    heading = f"{f['sentences']} sentences of {f['speech']}, delay"
    return table(f"{heading} | word error rate | shown after p50 / p95", *rows)


def soak(f: Figures) -> str:
    step = f["walk_cpu_ms_per_step"]
    wers = " ".join(percent(wer) for wer in f["wer_by_half_hour"])
    memory = [
        (f"memory after {minute} min", megabytes(mb))
        for minute, mb in f["rss_mb_at_minutes"].items()
    ]
    return table(
        f"{f['hours']:.1f} hours in one stream | measured",
        *memory,
        ("growth, least squares after the first minute", f"{f['rss_slope_mb_per_hour']:.2f} MB/h"),
        ("processor time a step, first half hour", f"{step['first_half_hour']:.3f} ms"),
        ("processor time a step, last half hour", f"{step['last_half_hour']:.3f} ms"),
        ("word error rate by half hour", wers),
    )


def measured(folder: Path) -> str:
    """All sections."""
    listen, quick, trade, hours = (
        read(folder / f"{name}.json") for name in ("listen", "quick", "delays", "soak")
    )
    parts = [
        about(listen), listening(listen), "![latency, steps, memory](benchmarks-listen.png)",
        "### The same by `--quick`", about(quick), listening(quick),
        "### Words", words(listen), voices(listen),
        "### Sounds that are not speech", sounds(listen),
        "### Delay", delays(trade),
        "### Hours", soak(hours), "![memory, time and errors over hours](benchmarks-soak.png)",
    ]  # fmt: skip
    return "\n\n".join(parts)


if __name__ == "__main__":
    write_page(__doc__, measured, START, END)
