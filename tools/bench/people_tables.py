# SPDX-License-Identifier: Apache-2.0
"""Writes the figures of tools/bench/people_all.sh into docs/benchmarks.md, between its two marks.

python tools/bench/people_tables.py OUT docs/benchmarks.md
"""

from __future__ import annotations

from pathlib import Path

from tables import Figures, about, percent, read, table, write_page

from edgestream.bench.listen.people_report import speech_rows, stream_rows
from edgestream.bench.report import number, sound_rows

START, END = "<!-- people -->", "<!-- /people -->"


def conditions(f: Figures) -> str:
    rows = [
        (row["condition"], percent(row["wer"]), str(row["words_too_many"]))
        for row in f["conditions"]
    ]
    return table(f"{f['single']['words']} words | word error rate | words too many", *rows)


def peers(f: Figures) -> str:
    rows = []
    for name, g in f["systems"].items():
        pairs = [
            f"{number(g[f'{what}_p50_ms'], 0)} / {number(g[f'{what}_p90_ms'], 0)} ms"
            for what in ("committed", "committed_with_compute", "shown")
        ]
        cost = (number(g["erasure"], 2), number(g["cpu_s_per_s"], 3))
        rows.append((name, percent(g["wer"]), *pairs, *cost))
    heading = (
        f"{f['clips']} clips, {g['words']} words | word error rate | committed p50 / p90"
        " | with computing | first shown p50 / p90 | words taken back | processor s / s"
    )
    return table(heading, *rows)


def measured(folder: Path) -> str:
    """All sections."""
    people, beside = read(folder / "people.json"), read(folder / "peers.json")
    parts = [
        about(people),
        table("|measured|target", *speech_rows(people["single"]), *stream_rows(people)),
        "![latency, cost, memory](benchmarks-people.png)",
        "### Nobody speaks",
        table("|words|target", *sound_rows(people["nonspeech"])),
        "### Noise, rooms, telephones",
        conditions(people),
        "### Beside others",
        about(beside),
        peers(beside),
    ]
    return "\n\n".join(parts)


if __name__ == "__main__":
    write_page(__doc__, measured, START, END)
