# SPDX-License-Identifier: Apache-2.0
"""Cost of a re-encoded stream: flat over time, and against plain LocalAgreement without drafts.

    python tools/bench_whisper.py MODEL AUDIO --minutes 30
    python tools/bench_whisper.py MODEL AUDIO --minutes 2 --against-plain

MODEL is a folder of a public ONNX repository, AUDIO a file that is heard over and over. Both print
a line of figures; compute is CPU time of this process.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import soundfile

import edgestream
from edgestream.events import Event, Final
from edgestream.policy import LocalAgreement
from edgestream.reencoded_model import N_DRAFT, ReencodedModel
from edgestream.session import Stream

LANGUAGE = "en"
N_EDGE = 5  # minutes at each end that are compared


def seconds_of(path: Path, rate_hz: int, minutes: float) -> Iterator[np.ndarray]:
    """The file over and over, in blocks of a second."""
    samples, file_rate_hz = soundfile.read(path, dtype="float32")
    if file_rate_hz != rate_hz or samples.ndim != 1:
        raise SystemExit(f"{path}: give mono at {rate_hz} Hz")
    whole = np.tile(samples, -(-int(minutes * 60 * rate_hz) // len(samples)))
    return iter(np.split(whole[: int(minutes * 60) * rate_hz], int(minutes * 60)))


def run(stream: Stream, seconds: Iterator[np.ndarray]) -> tuple[list[float], list[Event]]:
    """CPU milliseconds for each second of audio, and the events."""
    costs_ms, events = [], []
    for block in seconds:
        start_s = time.process_time()
        events += stream.push(block)
        costs_ms.append(1000 * (time.process_time() - start_s))
    return costs_ms, events


def flat(model: ReencodedModel, seconds: Iterator[np.ndarray]) -> None:
    """The last minutes against the first, in compute and memory."""
    stream, process = model.stream(language=LANGUAGE), psutil.Process()
    run(stream, itertools.islice(seconds, 60))  # warm
    start_mb = process.memory_info().rss / 1e6
    costs_ms, _ = run(stream, seconds)
    edge = N_EDGE * 60
    first, last = (np.percentile(part, 95) for part in (costs_ms[:edge], costs_ms[-edge:]))
    end_mb = process.memory_info().rss / 1e6
    print(
        f"{len(costs_ms) / 60:.0f} min: p95 compute per second of audio {first:.2f} ms in the first"
        f" {N_EDGE} min, {last:.2f} ms in the last ({last / first:.2f}x); mean"
        f" {np.mean(costs_ms):.2f} ms; memory {start_mb:.0f} to {end_mb:.0f} MB"
    )


def against_plain(model: ReencodedModel, seconds: list[np.ndarray]) -> None:
    """This product, and the same window padded to 30 s and decoded without drafts."""
    found = {}
    for name, n_draft in (("plain", 0), ("drafts", N_DRAFT), ("plain ", 0), ("drafts ", N_DRAFT)):
        stream = model.stream(language=LANGUAGE)
        stages = stream._stages
        prompt = stages.decoder.prompt  # type: ignore[attr-defined]
        stages.loop = model.loop(  # type: ignore[attr-defined]
            stages.decoder,
            LocalAgreement(),
            prompt,
            times=True,
            n_draft=n_draft,  # type: ignore[attr-defined]
        )
        costs_ms, events = run(stream, iter(seconds))
        words = [
            word.text for e in events + stream.finish() if isinstance(e, Final) for word in e.words
        ]
        found[name] = (sum(costs_ms) / len(costs_ms), words)
    plain = min(found["plain"][0], found["plain "][0])
    drafts = min(found["drafts"][0], found["drafts "][0])
    same = len({tuple(words) for _, words in found.values()}) == 1
    print(
        f"{len(seconds)} s: plain {plain:.2f} ms of compute per second of audio, with drafts"
        f" {drafts:.2f} ms ({plain / drafts:.2f}x less), {len(found['plain'][1])} words,"
        f" output {'equal' if same else 'DIFFERENT'}"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--against-plain", action="store_true")
    options = parser.parse_args()
    model = edgestream.load(options.model)
    if not isinstance(model, ReencodedModel):
        raise SystemExit(f"{options.model}: is not of the re-encoded family")
    seconds = seconds_of(options.audio, 16000, options.minutes)
    if options.against_plain:
        against_plain(model, list(seconds))
    else:
        flat(model, seconds)


if __name__ == "__main__":
    main()
