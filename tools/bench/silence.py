# SPDX-License-Identifier: Apache-2.0
"""How much silence a model needs behind the sound: errors and cost for each length.

    python tools/bench/silence.py [FOLDER] [name=value ...] [-m MODEL ...]
                                  [--lengths-ms 0 1000 2000 4000 6000 8000 12000] [--json FILE]

FOLDER is speech as tools/bench/score_speech.py takes it; the bundled people if there is none.
name=value are options of the stream. The default lengths are those of the table in docs/whisper.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from score_speech import stream_options

from edgestream.bench.listen.people import single_clips
from edgestream.bench.listen.probe import settle
from edgestream.bench.machine import describe, one_core
from edgestream.bench.report import write_json
from edgestream.errors import EdgestreamError
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.scoring.clips import PEOPLE, read_clips
from edgestream.speech.listen import load
from edgestream.speech.reencoded.model import rows_in


def measure(name: str, folder: Path, lengths_ms: list[int], options: list[str]) -> dict[str, Any]:
    """The figures of a model's single clips for each length of silence."""
    clips, model = read_clips(folder), load(name)
    rows = []
    with one_core():
        for length_ms in lengths_ms:
            model.weights.silence_rows = rows_in(length_ms)
            stream = model.stream(**stream_options(options))
            settle(stream)
            rows.append({"silence_ms": length_ms, **single_clips(stream, clips).figures()})
    return describe(model) | {"speech": folder.name, "options": options, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=PEOPLE)
    parser.add_argument("options", nargs="*")
    parser.add_argument("-m", "--model", action="append")
    parser.add_argument(
        "--lengths-ms", type=int, nargs="+", default=[0, 1000, 2000, 4000, 6000, 8000, 12000]
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    try:
        figures = [
            measure(name, args.folder, args.lengths_ms, args.options)
            for name in args.model or [DEFAULT_MODEL]
        ]
    except EdgestreamError as error:
        print(f"silence.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    table = Table("model", "silence, ms", "word errors", "words too many", "processor s / s")
    for model in figures:
        for row in model["rows"]:
            table.add_row(
                model["model"], str(row["silence_ms"]), f"{100 * row['wer']:.1f} %",
                str(row["words_too_many"]), f"{row['cpu_s_per_s']:.3f}",
            )  # fmt: skip
    Console().print(table)
    if args.json:
        write_json({"models": figures}, args.json)


if __name__ == "__main__":
    main()
