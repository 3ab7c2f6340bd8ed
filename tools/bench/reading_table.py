# SPDX-License-Identifier: Apache-2.0
"""Each task of a reader over captions of people: how late it is, what it costs, whether it stays.

    python tools/bench/reading_table.py MODEL.gguf... [--minutes 5] [--task NAME] [--json FILE]

The captions of people (edgestream/data/bench/people) are made once, with the time at which each
came. A task then reads them on a clock of their own: an event is taken when it came, or when what
came before it is done, and takes the processor time that it took here. So its lateness is that of a
live stream on one free core, without waiting for one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgestream.bench.machine import describe
from edgestream.events import Event, Final, Translation, TranslationDraft
from edgestream.reader.model import ReaderModel, load_reader
from edgestream.reader.reader import Reader
from edgestream.reader.wanted import Wanted
from edgestream.scoring.clips import BLOCK_SAMPLES, PEOPLE, long_stream, read_clips
from edgestream.speech.listen import load

ALERTS = (
    "somebody speaks of a country", "somebody asks a question", "money is spoken of",
    "somebody says good-bye",
)  # fmt: skip
TASKS = {
    "translate, wait-k:3": Wanted(translate_to="fr", translate_policy="wait-k:3"),
    "translate, local-agreement:2": Wanted(translate_to="fr", translate_policy="local-agreement:2"),
    "translate, alignatt:4": Wanted(translate_to="fr", translate_policy="alignatt:4"),
    "notes, each minute": Wanted(note="What was said so far?", every_ms=60_000),
    "1 alert": Wanted(alerts=ALERTS[:1]),
    "4 alerts": Wanted(alerts=ALERTS),
    "wake phrase": Wanted(wake=("ask not what your country", "the best of times")),
    "thoughts": Wanted(think=True),
    "question each minute": Wanted(),
}


@dataclass(frozen=True, slots=True)
class Came:
    """An event of the captions, and when it came: so much had been heard."""

    event: Event
    at_ms: float


@dataclass(slots=True)
class Figures:
    """Of one task with one model."""

    late_ms: list[float] = field(default_factory=list)
    n_said: int = 0
    changed: int = 0  # committed texts that did not stay
    cpu_s: float = 0.0
    behind_ms: float = 0.0  # at most


def captions(minutes: float) -> list[Came]:
    """Of people, one after the other, until so many minutes are full."""
    stream, found = load().stream(), []
    for piece, _ in long_stream(read_clips(PEOPLE), minutes):
        for at in range(0, len(piece), BLOCK_SAMPLES):
            events = stream.push(piece[at : at + BLOCK_SAMPLES])
            found += [Came(event, stream.heard_ms) for event in events]
    return [*found, *(Came(event, stream.heard_ms) for event in stream.finish())]


def run(model: ReaderModel, task: str, came: Sequence[Came]) -> Figures:
    """A task over the captions."""
    asks = task.startswith("question")
    reader = Reader(model, TASKS[task].tasks(), asked=asks)
    figures, committed = Figures(), ""
    clock_ms = asked_ms = 0.0
    for each in came:
        begin_s = time.process_time()
        said = reader.push(each.event)
        if asks and isinstance(each.event, Final) and each.at_ms - asked_ms >= 60_000:
            asked_ms = each.at_ms
            said += reader.ask("What was said last?")
        took_s = time.process_time() - begin_s
        figures.cpu_s += took_s
        clock_ms = max(clock_ms, each.at_ms) + 1000 * took_s
        figures.behind_ms = max(figures.behind_ms, clock_ms - each.at_ms)
        figures.late_ms += [clock_ms - each.at_ms] * len(said)
        for text, whole in texts(said):
            figures.changed += not text.startswith(committed)
            committed = "" if whole else text
        figures.n_said += len(said)
    reader.finish()
    reader.close()
    return figures


def texts(said: Sequence[Event]) -> Iterator[tuple[str, bool]]:
    """What of a translation is committed, and whether its line is whole."""
    for event in said:
        if isinstance(event, TranslationDraft):
            yield event.text[: event.n_final], False
        elif isinstance(event, Translation):
            yield event.text, True


def row(name: str, task: str, figures: Figures, minutes: float) -> dict[str, Any]:
    """A row of the table."""
    late = figures.late_ms
    return {
        "model": name,
        "task": task,
        "said": figures.n_said,
        "committed and changed": figures.changed,
        "late ms p50": round(np.percentile(late, 50)) if late else None,
        "late ms p95": round(np.percentile(late, 95)) if late else None,
        "behind ms, most": round(figures.behind_ms),
        "processor s / min": round(figures.cpu_s / minutes, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="+", help="GGUF files")
    parser.add_argument("--minutes", type=float, default=5.0, help="of speech")
    parser.add_argument("--task", action="append", choices=TASKS, help="only these")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    came, rows = captions(asked.minutes), []
    for path in asked.models:
        model = load_reader(path)
        for task in asked.task or TASKS:
            rows.append(row(Path(path).stem, task, run(model, task, came), asked.minutes))
            print(rows[-1], flush=True)
    table = Table(*rows[0])
    for each in rows:
        table.add_row(*map(str, each.values()))
    Console(width=150).print(table)
    if asked.json:
        report = {**describe(load()), "minutes": asked.minutes, "rows": rows}
        asked.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
