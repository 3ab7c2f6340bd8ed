# SPDX-License-Identifier: Apache-2.0
"""How a model captions a folder of speech: errors, latency, calm and cost.

    python tools/bench/score_speech.py FOLDER [-m MODEL] [name=value ...] [--minutes N]
                                        [--json FILE]

FOLDER has an index.tsv (file, speaker, licence, words; as spreadsheets write it, with tabs), or is
one that tools/bench/word_ends.py made of such a folder: only then is latency known. name=value are
options of the model's stream, as policy=alignatt:25. --minutes also joins the clips of whoever
reads most to one stream so long.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edgestream.bench.listen.people import joined, single_clips
from edgestream.bench.listen.people_report import joined_rows, speech_rows
from edgestream.bench.listen.probe import settle
from edgestream.bench.machine import describe, one_core
from edgestream.bench.report import percent, write_json
from edgestream.errors import EdgestreamError, UsageError
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.scoring.clips import read_clips
from edgestream.speech.listen import load


def stream_options(given: list[str]) -> dict[str, Any]:
    """name=value: numbers and true, false and null as JSON has them, anything else is text."""
    options: dict[str, Any] = {}
    for each in given:
        name, separator, value = each.partition("=")
        if not separator:
            raise UsageError(f"{each!r}: wanted is name=value")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def score(args: argparse.Namespace) -> dict[str, Any]:
    clips, model = read_clips(args.folder), load(args.model)
    options = stream_options(args.options)
    with one_core():
        stream = model.stream(**options)
        settle(stream)
        single = single_clips(stream, clips)
        figures = describe(model) | {"speech": args.folder.name, "options": options}
        figures["single"] = single.figures()
        if args.minutes:
            figures |= joined(stream, clips, args.minutes, single)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("options", nargs="*")
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    try:
        figures = score(args)
    except EdgestreamError as error:
        print(f"score_speech.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    table = Table("", "measured", "target", title=f"{figures['model']}, {figures['speech']}")
    for row in speech_rows(figures["single"]) + (joined_rows(figures) if args.minutes else []):
        table.add_row(*row)
    for voice, wer in figures["single"]["wer_by_voice"].items():
        table.add_row(f"word error rate, {voice}", percent(wer), "")
    Console().print(table)
    if args.json:
        write_json(figures, args.json)


if __name__ == "__main__":
    main()
