# SPDX-License-Identifier: Apache-2.0
"""edgestream and its peers on the same speech in one run: errors, latency, calm and cost.

    python tools/bench/peers.py FOLDER [-m MODEL] [--only NAME ...] [--json FILE]

FOLDER is one that tools/bench/word_ends.py made (or has an index.tsv: then no latency is known).
Each clip is a stream of its own, in blocks of 40 ms, and ends with its last sample; all of them
hear a clip before any hears the next, each time another one first, all on one core. Peers run as
processes of their own, each in an environment with pinned packages (made on the first run, in the
cache of edgestream), and count their own processor time:

faster-whisper    the whole clip at once when it has ended: no captions while somebody speaks
LocalAgreement    over faster-whisper, as whisper_streaming does it
moonshine-voice   its own loop and its tiny English model
pocketsphinx      as installed; it may revise all until the clip ends

Both over faster-whisper have OpenAI's tiny.en in int8 and one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from peer_loops.environment import PACKAGES, python_of, weights_of
from rich.console import Console
from rich.table import Table

from edgestream.bench.listen.people import Tally
from edgestream.bench.listen.probe import hear, process_times_ms, settle
from edgestream.bench.machine import describe, one_core
from edgestream.bench.report import number, percent, write_json
from edgestream.events import Draft, Event, Final, Word
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.scoring.clips import PEOPLE, RATE_HZ, read_clips, spoken
from edgestream.sources.block import Samples
from edgestream.speech.listen import load
from edgestream.speech.stream import Stream

HERE = Path(__file__).parent / "peer_loops"
# Name: environment, program, weights.
PEERS = {
    "faster-whisper": ("faster-whisper", "whole_clips.py", "tiny.en"),
    "LocalAgreement": ("faster-whisper", "local_agreement.py", "tiny.en"),
    "moonshine-voice": ("moonshine", "moonshine.py", None),
    "pocketsphinx": ("pocketsphinx", "sphinx.py", None),
}
OURS = "edgestream"
FILE_COLUMNS = 140  # of a table that goes into a file


class PipedStream:
    """A peer behind a pipe (peer_loops/child.py), with the calls of a Stream that a Probe makes."""

    rate_hz = RATE_HZ
    stages = None

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._cpu_ms = self._wall_ms = 0.0
        self._read()  # it is ready
        self.reset()

    def reset(self) -> None:
        self._heard_ms = 0.0
        self._words: list[Word] = []
        self._draft = self._shown = ""

    def times_ms(self) -> tuple[float, float]:
        """Processor time of the peer and the time that it took, as it counts them."""
        return self._cpu_ms, self._wall_ms

    def push(self, samples: Samples) -> list[Event]:
        self._heard_ms += 1000 * len(samples) / RATE_HZ
        self._ask(samples)
        text = " ".join([*(word.text for word in self._words), self._draft]).strip()
        if text == self._shown:
            return []
        self._shown = text
        return [Draft(text, 0, self._heard_ms)]

    def finish(self) -> list[Event]:
        self._ask(np.zeros(0, np.float32))
        text = " ".join(word.text for word in self._words)
        return [Final(text, tuple(self._words), 0, self._heard_ms)] if text else []

    def _ask(self, samples: Samples) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(struct.pack("<I", len(samples)) + samples.tobytes())
        self._process.stdin.flush()
        answer = self._read()
        self._cpu_ms += 1000 * answer["cpu_s"]
        self._wall_ms += 1000 * answer["wall_s"]
        at_ms = self._heard_ms
        self._words += [Word(text, at_ms, at_ms, at_ms) for text in answer["committed"].split()]
        if answer["draft"] is not None:
            self._draft = answer["draft"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"peers.py: {self._process.args[1]} ended; see above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def piped(name: str) -> Iterator[PipedStream]:
    """The peer of that name as a process, until the end of the block."""
    environment, program, weights = PEERS[name]
    command = [str(python_of(environment)), str(HERE / program)]
    command += [str(weights_of(weights))] if weights else []
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    ) as process:
        try:
            yield PipedStream(process)
        finally:
            process.kill()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    clips, model = read_clips(args.folder), load(args.model)
    streams: dict[str, Stream | PipedStream] = {OURS: model.stream()}
    with ExitStack() as stack:
        for name in args.only or PEERS:
            python_of(PEERS[name][0])  # made with all cores
        stack.enter_context(one_core())
        for name in args.only or PEERS:
            streams[name] = stack.enter_context(piped(name))
        for stream in streams.values():
            settle(stream)
        tallies = {name: Tally() for name in streams}
        for turn, clip in enumerate(clips):
            print(f"{turn + 1} of {len(clips)}: {clip.text}", flush=True)
            names = list(streams)
            for i in range(len(names)):
                name = names[(i + turn) % len(names)]
                stream = streams[name]
                times_ms = stream.times_ms if isinstance(stream, PipedStream) else process_times_ms
                piece = (clip.samples, spoken(clip, 0))
                tallies[name].add(clip.voice, *hear(stream, [piece], times_ms))
    about = describe(model) | {"speech": args.folder.name, "clips": len(clips)}
    packages = {name: PACKAGES[PEERS[name][0]] for name in args.only or PEERS}
    systems = {name: tally.figures() for name, tally in tallies.items()}
    return about | {"packages": packages, "systems": systems}


def print_table(figures: dict[str, Any]) -> None:
    title = f"{figures['clips']} clips of {figures['speech']}, {figures['machine']['cpu']}"
    table = Table(title=title)
    for heading in (
        "", "word errors", "too many", "committed p50 / p90", "with computing",
        "first shown p50 / p90", "taken back", "processor s / s",
    ):  # fmt: skip
        table.add_column(heading, justify="right" if heading else "left")
    for name, f in figures["systems"].items():
        times = [
            f"{number(f[f'{what}_p50_ms'], 0)} / {number(f[f'{what}_p90_ms'], 0)} ms"
            for what in ("committed", "committed_with_compute", "shown")
        ]
        label = f"{name} ({figures['model']})" if name == OURS else name
        cells = (number(f["erasure"], 3), number(f["cpu_s_per_s"], 3))
        table.add_row(label, percent(f["wer"]), str(f["words_too_many"]), *times, *cells)
    Console(width=None if sys.stdout.isatty() else FILE_COLUMNS).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=PEOPLE)
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL)
    parser.add_argument("--only", nargs="+", choices=list(PEERS), default=[])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    figures = measure(args)
    print_table(figures)
    if args.json:
        write_json(figures, args.json)


if __name__ == "__main__":
    main()
