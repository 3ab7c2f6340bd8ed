# SPDX-License-Identifier: Apache-2.0
"""Quality and latency of policies as a table and as a curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.bench.policy.measure import FIXED
from edgestream.bench.report import matplotlib_pyplot, save

MARKS = {"confidence": "o", "entropy": "s", "agreement": "D", "held with PAD": "x", "head": "*"}
PLOT_INCHES = (11.0, 5.0)
PLOT_DPI = 110
LATENCY_LABELS = {
    "mean time from a word's end to its being shown [ms]": "shown_after_ms",
    "length-adaptive average lagging [ms]": "laal_ms",
}


def print_table(figures: dict[str, Any]) -> None:
    """The figures on stdout."""
    from rich.console import Console
    from rich.table import Table

    title = f"{figures['model']}, {figures['sentences']} sentences of {figures['speech']}"
    caption = (
        "Errors: of words; fixed: of a fixed delay that shows words as soon (by mean)."
        " Shown: after a word's end, mean / p95."
    )
    table = Table(title=f"{title}, {figures['words']} words", caption=caption)
    for heading in ("policy", "setting"):
        table.add_column(heading)
    for heading in ("errors", "fixed", "AL", "LAAL", "shown", "NE", "deferred"):
        table.add_column(heading, justify="right")
    for row in figures["policies"]:
        table.add_row(*_cells(row))
    Console().print(table)


def _cells(row: dict[str, Any]) -> list[str]:
    fixed = row["fixed_wer_at_shown"]
    return [
        row["policy"],
        row["setting"],
        f"{100 * row['wer']:.1f} %",
        "" if fixed is None or row["policy"] == FIXED else f"{100 * fixed:.1f} %",
        f"{row['al_ms']:.0f} ms",
        f"{row['laal_ms']:.0f} ms",
        f"{row['shown_after_ms']:.0f} / {row['shown_after_p95_ms']:.0f} ms",
        f"{row['ne']:.2f}",
        f"{100 * row['deferred']:.0f} %",
    ]


def draw(figures: dict[str, Any], path: Path) -> None:
    """Word errors over latency as a PNG: fixed delays as a line, other policies as marks."""
    plt = matplotlib_pyplot()
    figure, panels = plt.subplots(
        1, 2, figsize=PLOT_INCHES, dpi=PLOT_DPI, sharey=True, layout="constrained"
    )
    for axes, (label, key) in zip(panels, LATENCY_LABELS.items(), strict=True):
        _draw_panel(axes, figures["policies"], key)
        axes.set_xlabel(label)
    panels[0].set_ylabel("word errors [%]")
    panels[0].set_ylim(0, None)
    panels[1].legend(title="decides", fontsize=8)
    about = f"{figures['sentences']} sentences of {figures['speech']}"
    figure.suptitle(f"edgestream {figures['edgestream']}, {figures['model']}, {about}", fontsize=10)
    save(figure, path)


def _draw_panel(axes: Any, rows: list[dict[str, Any]], key: str) -> None:
    for number, name in enumerate(dict.fromkeys(row["policy"] for row in rows)):
        points = sorted((r[key], 100 * r["wer"]) for r in rows if r["policy"] == name)
        color = "0.35" if name == FIXED else f"C{number - 1}"
        line, size = {FIXED: ("-", 6), "head": ("--", 10)}.get(name, ("none", 6))
        mark = MARKS.get(name, ".")
        axes.plot(
            *zip(*points, strict=True), marker=mark, ls=line, ms=size, color=color, label=name
        )
    axes.grid(alpha=0.3)
