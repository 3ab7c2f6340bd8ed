# SPDX-License-Identifier: Apache-2.0
"""Hours of people through one `edgestream listen` that a model reads along: does memory stay?

    python tools/soak/read_along.py MODEL.gguf [--hours 3] [--speed 4] [--json FILE] [-- OPTION...]

The command itself is fed through its pipe, `--speed` times as fast as people speak. Each minute of
sound the resident memory and the processor time of its two processes are read. What follows `--`
are options of `edgestream listen`; without them it takes notes each five minutes and waits for two
things. At the end: what was said. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from edgestream.bench.machine import describe
from edgestream.scoring.clips import PEOPLE, RATE_HZ, long_stream, read_clips
from edgestream.speech.listen import load

USUAL = [
    "--ask-every", "What was said so far?", "--every", "5min",
    "--alert", "somebody speaks of a country", "--alert", "somebody asks a question",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What both processes had used when so much was heard."""

    minute: float
    captions_mb: float  # resident memory, 10^6 bytes
    reader_mb: float
    captions_cpu_s: float
    reader_cpu_s: float


def feed(options: list[str], hours: float, speed: float, captions: Path) -> list[Reading]:
    """Runs the command to its end."""
    command = [sys.executable, "-m", "edgestream", "listen", "-", "--format", "jsonl"]
    readings: list[Reading] = []
    begun_s, fed_s = time.monotonic(), 0.0
    with subprocess.Popen(
        [*command, "-o", str(captions), *options], stdin=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        for piece, _ in long_stream(read_clips(PEOPLE), 60 * hours):
            process.stdin.write(np.round(np.clip(piece, -1, 1) * 32767).astype("<i2").tobytes())
            fed_s += len(piece) / RATE_HZ
            time.sleep(max(0.0, begun_s + fed_s / speed - time.monotonic()))
            if fed_s >= 60 * (len(readings) + 1):
                readings.append(read(psutil.Process(process.pid), fed_s / 60))
                print(readings[-1], flush=True)
        process.stdin.close()
        if process.wait() != 0:
            raise SystemExit(f"it ended with {process.returncode}")
    return readings


def read(captions: psutil.Process, minute: float) -> Reading:
    """Both processes now; the reader is the child that has the most memory."""
    children = captions.children(recursive=True)
    reader = max(children, key=lambda each: each.memory_info().rss, default=None)
    used = [(each.memory_info().rss / 1e6, sum(each.cpu_times()[:2]))
            for each in (captions, reader) if each is not None]  # fmt: skip
    (captions_mb, captions_cpu_s), (reader_mb, reader_cpu_s) = (*used, (0.0, 0.0))[:2]
    return Reading(minute, captions_mb, reader_mb, captions_cpu_s, reader_cpu_s)


def figures_of(readings: list[Reading], said: list[dict[str, Any]]) -> dict[str, Any]:
    """For the table and JSON."""
    hours = np.array([each.minute / 60 for each in readings])
    late = hours >= hours[-1] / 3  # warm: the rings are full
    found: dict[str, Any] = {"hours": round(float(hours[-1]), 2)}
    for name in ("captions_mb", "reader_mb"):
        values = np.array([getattr(each, name) for each in readings])
        marks = {
            f"{mark:g} h": round(float(np.interp(mark, hours, values)), 1)
            for mark in (1 / 6, 1, 2, 3)
            if mark <= hours[-1] + 0.05
        }
        slope = float(np.polyfit(hours[late], values[late], 1)[0])
        found[name] = {**marks, "MB per hour in the last two thirds": round(slope, 2)}
    last = readings[-1]
    found["processor seconds a minute"] = {
        "captions": round(last.captions_cpu_s / last.minute, 2),
        "reader": round(last.reader_cpu_s / last.minute, 2),
    }
    found["said"] = dict(Counter(each["type"] for each in said))
    found["lags"] = [each["action"] for each in said if each["type"] == "lag"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("reader", help="GGUF file")
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--speed", type=float, default=4.0, help="times as fast as people speak")
    parser.add_argument("--json", type=Path)
    parser.add_argument("options", nargs="*", help="of `edgestream listen`")
    asked = parser.parse_args()
    options = ["--reader", asked.reader, *(asked.options or USUAL)]
    with tempfile.TemporaryDirectory() as folder:
        captions = Path(folder) / "captions.jsonl"
        readings = feed(options, asked.hours, asked.speed, captions)
        said = [json.loads(line) for line in captions.read_text(encoding="utf-8").splitlines()]
    figures = figures_of(readings, said)
    print(json.dumps(figures, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps({**describe(load()), **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
