# SPDX-License-Identifier: Apache-2.0
"""What both soaks show of hours in one stream: memory and processor time."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def soak_table(figures: dict[str, Any], cost: str, unit: str) -> Table:
    """Memory of `figures`, then the processor time of a `unit` in `figures[cost]`."""
    table = Table("", "measured", title=f"{figures['hours']:.1f} hours in one stream")
    for minute, mb in figures["rss_mb_at_minutes"].items():
        if mb is not None:
            table.add_row(f"memory after {minute} min", f"{mb:.1f} MB")
    table.add_row("memory, growth", f"{figures['rss_slope_mb_per_hour']:.2f} MB/h")
    for when, ms in figures[cost].items():
        table.add_row(f"processor time a {unit}, {when.replace('_', ' ')}", f"{ms:.3f} ms")
    return table
