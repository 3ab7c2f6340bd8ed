# SPDX-License-Identifier: Apache-2.0
"""What the guards against invented text do, without the voice gate: on sounds and on people.

    python tools/bench/guards.py [-m MODEL] [--minutes 0.7] [--delay sure]

For each sound, and for the bundled people behind the gate: windows that were decoded, in how many
the no-speech guard and the repetition guard fired, and words written, with and without no-speech.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from edgestream.bench.listen.sounds import KINDS, sound
from edgestream.bench.machine import one_core
from edgestream.events import Final
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.scoring.clips import PEOPLE, blocks, read_clips
from edgestream.sources.block import Samples
from edgestream.speech.listen import load
from edgestream.speech.reencoded.rules import HypothesisRules


@dataclass(slots=True)
class Counts:
    """Of one run."""

    windows: int = 0
    silent: int = 0
    loops: int = 0


class Counted(HypothesisRules):
    """The rules, counting how often each guard fires; `counts` and `heeds_silence` are shared."""

    counts = Counts()
    heeds_silence = True

    def is_silent(self, logits: Any) -> bool:
        fires = super().is_silent(logits)
        self.counts.windows += 1
        self.counts.silent += fires
        return fires and self.heeds_silence

    def is_loop(self, written: Any) -> bool:
        fires = super().is_loop(written)
        self.counts.loops += fires
        return fires


def run(model: Any, pieces: Iterable[Samples], **options: Any) -> tuple[Counts, int]:
    """Counts, and the words that were written."""
    Counted.counts = Counts()
    stream = model.stream(**options)
    events = [event for piece in pieces for block in blocks(piece) for event in stream.push(block)]
    finals = [event for event in [*events, *stream.finish()] if isinstance(event, Final)]
    return Counted.counts, sum(len(final.words) for final in finals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL)
    parser.add_argument("--minutes", type=float, default=0.7)
    parser.add_argument("--delay", default="sure")
    args = parser.parse_args()
    import edgestream.speech.reencoded.model as made

    made.HypothesisRules = Counted  # type: ignore[misc]
    model = load(args.model)
    people = [clip.samples for clip in read_clips(PEOPLE)]
    table = Table("sound", "no-speech heeded", "windows", "no-speech", "repetition", "words")
    with one_core():
        for heeded in (True, False):
            Counted.heeds_silence = heeded
            for kind in KINDS:
                pieces = sound(kind, args.minutes)
                counts, words = run(model, pieces, vad="off", delay=args.delay)
                cells = (counts.windows, counts.silent, counts.loops, words)
                table.add_row(kind, str(heeded), *map(str, cells))
            counts, words = run(model, people, delay=args.delay)
            cells = (counts.windows, counts.silent, counts.loops, words)
            table.add_row("people, behind the gate", str(heeded), *map(str, cells))
    Console().print(table)


if __name__ == "__main__":
    main()
