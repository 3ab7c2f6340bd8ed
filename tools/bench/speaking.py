# SPDX-License-Identifier: Apache-2.0
"""How soon a clause is heard: from its last word until its first sample is with the output.

    python tools/bench/speaking.py [--voice VOICE] [--device NAME] [--busy N] [--json FILE]

The text comes word by word, as a model writes it. Each clause is measured in two ways: with a space
behind its last word, so that its end is seen; and with nothing behind it, so that the speaker waits
a moment for what may follow. Without `--device` the output is a function, which is called with the
first samples; with it, a loudspeaker (`default` for the usual one), whose callback asks for them.
`--busy`: other processes that compute meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgestream.data import DATA
from edgestream.sources.block import Samples
from edgestream.sources.half_duplex import Mute
from edgestream.speaking.clauses import ClauseCutter
from edgestream.speaking.loudspeaker import LoudspeakerOutput
from edgestream.speaking.open import open_engine
from edgestream.speaking.outputs import FunctionOutput, Output
from edgestream.speaking.speaker import Speaker

TEXTS = ("bench/people/speech.jsonl", "bench/speech.jsonl")
LIMIT_S = 30.0  # for a clause to be heard
SPIN = "while True: pass"


def clauses(n: int) -> list[str]:
    """The first `n` clauses of two words or more that end with a mark."""
    found: list[str] = []
    for name in TEXTS:
        for line in (DATA / name).read_text("utf-8").splitlines():
            cutter = ClauseCutter()
            for clause in cutter.push(json.loads(line)["text"] + ". "):
                if " " in clause and not clause[-1].isalnum():
                    found.append(clause)
    if len(found) < n:
        raise SystemExit(f"there are {len(found)} clauses; ask for no more")
    return found[:n]


class Heard(Mute):
    """Notes when sound is handed over: to a loudspeaker, which mutes, or to a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first_s = self.last_s = 0.0
        self.begun = threading.Event()

    def begin(self) -> None:
        self.last_s = time.monotonic()
        if not self.begun.is_set():
            self.first_s = self.last_s
            self.begun.set()

    def take(self, _: Samples) -> None:
        self.begin()


def first_sound_s(speaker: Speaker, heard: Heard, clause: str, behind: str) -> float:
    """From the push of the last word until the first samples are handed over."""
    *words, last = clause.split(" ")
    for word in words:
        speaker.push(word + " ")
    heard.begun.clear()
    begun_s = time.monotonic()
    speaker.push(last + behind)
    if not heard.begun.wait(LIMIT_S):
        raise SystemExit(f"'{clause}' was not heard")
    if not behind:
        speaker.push(" ")
    while time.monotonic() - heard.last_s < 0.3:  # until it has ended
        time.sleep(0.02)
    return heard.first_s - begun_s


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each way."""
    heard = Heard()
    output: Output = FunctionOutput(heard.take)
    if args.device is not None:
        device = None if args.device == "default" else args.device
        output = LoudspeakerOutput(device, heard)
    rows = []
    with Speaker(open_engine(args.voice), output, language=args.language, told=print) as speaker:
        first_sound_s(speaker, heard, "To begin with.", " ")
        for name, behind in (("a word follows", " "), ("nothing follows", "")):
            times_ms = [
                1000 * first_sound_s(speaker, heard, clause, behind)
                for clause in clauses(args.clauses)
            ]
            p50, p95 = np.percentile(times_ms, [50, 95])
            rows.append({
                "way": name, "clauses": len(times_ms), "median_ms": round(float(p50), 1),
                "p95_ms": round(float(p95), 1), "max_ms": round(max(times_ms), 1),
            })  # fmt: skip
    return rows


def table(rows: list[dict[str, Any]]) -> Table:
    drawn = Table(*[name.replace("_", " ") for name in rows[0]])
    for row in rows:
        drawn.add_row(*map(str, row.values()))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voice", help="of espeak-ng, or the path of a Piper voice")
    parser.add_argument("--language", default="en")
    parser.add_argument("--device")
    parser.add_argument("--clauses", type=int, default=50)
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    others = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(args.busy)]
    try:
        rows = measure(args)
    finally:
        for other in others:
            other.kill()
    Console().print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
