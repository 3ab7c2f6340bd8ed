# SPDX-License-Identifier: Apache-2.0
"""edgestream and pocketsphinx side by side on the same speech: errors, cost, latency.

    python tools/bench_pocketsphinx.py SPEECH_DIR [--limit 200] [--json FILE]

SPEECH_DIR is made by tools/train_captions/speak.py. Both captioners get each sentence as a stream
of its own, in blocks of 40 ms with silence around it, in turns and in alternating order, on one
core. pocketsphinx runs as installed: its English model, its default search, the partial
hypothesis read after each block. A word is shown when it first stands at its place in the text
and stays: pocketsphinx may revise until the sentence ends.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pocketsphinx
from rich.console import Console
from rich.table import Table

from edgestream.bench_machine import describe, one_core
from edgestream.bench_run import Latency, settle
from edgestream.bench_speech import RATE_HZ, Clip, blocks, padded, read_clips, silence, spoken
from edgestream.bench_words import Score, Watch, spoken_words
from edgestream.config import SYNTHETIC_MODEL
from edgestream.events import Draft, Event, Final
from edgestream.model import load
from edgestream.source import Samples

LEAD_MS, TAIL_MS = 300.0, 1000.0  # silence around a sentence
SEED = 3


class Edgestream:
    """A model; a stream per sentence."""

    name = "edgestream"

    def __init__(self, model: str, delay_ms: float | None) -> None:
        self.model = load(model)
        self._stream = self.model.stream(delay_ms=delay_ms)
        self.delay_ms = self._stream.delay_ms
        settle(self._stream)

    def start(self) -> None:
        self._stream.reset()

    def push(self, block: Samples) -> list[Event]:
        return self._stream.push(block)

    def finish(self) -> list[Event]:
        return self._stream.finish()


class Pocketsphinx:
    """As installed; its hypothesis so far is a draft, what stands at the end is final."""

    name = "pocketsphinx"

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=RATE_HZ, loglevel="FATAL")

    def start(self) -> None:
        self._decoder.start_utt()

    def push(self, block: Samples) -> list[Event]:
        self._decoder.process_raw(np.round(block * 32767).astype("<i2").tobytes(), False, False)
        return [Draft(self._text(), 0, 0)]

    def finish(self) -> list[Event]:
        self._decoder.end_utt()
        return [Final(self._text(), (), 0, 0)]

    def _text(self) -> str:
        found = self._decoder.hyp()
        return found.hypstr if found else ""


@dataclass
class Result:
    """What one of them did over all sentences."""

    score: Score = field(default_factory=Score)
    by_voice: dict[str, Score] = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)
    audio_s: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def timed(self, work: Callable[[], list[Event]]) -> tuple[list[Event], float]:
        """Runs `work`; returns its events and what it took in milliseconds."""
        cpu_s, start_s = time.process_time(), time.perf_counter()
        events = work()
        took_s = time.perf_counter() - start_s
        self.cpu_s += time.process_time() - cpu_s
        self.wall_s += took_s
        return events, 1000 * took_s

    def figures(self) -> dict[str, Any]:
        """For the table and for JSON."""
        wers = {voice: score.wer for voice, score in sorted(self.by_voice.items())}
        heard = np.percentile(self.latency.heard_after_ms or [np.nan], (50, 95))
        shown = np.percentile(self.latency.shown_after_ms or [np.nan], (50, 95))
        return {
            "wer": self.score.wer, "words": self.score.words, "wer_by_voice": wers,
            "rtf": self.wall_s / self.audio_s, "rtf_cpu": self.cpu_s / self.audio_s,
            "emission_p50_ms": heard[0], "emission_p95_ms": heard[1],
            "emission_with_compute_p50_ms": shown[0], "emission_with_compute_p95_ms": shown[1],
            "emission_words": len(self.latency.ends_ms),
        }  # fmt: skip


def caption(captioner: Edgestream | Pocketsphinx, clip: Clip, result: Result) -> None:
    """One sentence, fed as if at the pace of speech: a block starts when it has been spoken."""
    watch, heard_ms, done_ms = Watch(), 0.0, 0.0
    captioner.start()
    for block in blocks(np.concatenate([silence(LEAD_MS), padded(clip.samples, TAIL_MS)])):
        events, took_ms = result.timed(lambda block=block: captioner.push(block))  # type: ignore[misc]
        heard_ms += 1000 * len(block) / RATE_HZ
        done_ms = max(heard_ms, done_ms) + took_ms
        watch.push(events, heard_ms, done_ms)
    events, took_ms = result.timed(captioner.finish)
    watch.push(events, heard_ms, done_ms + took_ms)
    result.audio_s += heard_ms / 1000
    reference = spoken_words(clip.text)
    for score in (result.score, result.by_voice.setdefault(clip.voice, Score())):
        score.add(reference, [word.text for word in watch.words])
    lead_ms = 1000 * len(silence(LEAD_MS)) / RATE_HZ
    result.latency.add(spoken(clip, lead_ms), watch.words)


def show(figures: dict[str, dict[str, Any]], title: str) -> None:
    """Side by side."""
    table = Table("", *figures, title=title)
    rows = [
        ("word error rate", "{wer:.1%}"),
        ("real-time factor, one core", "{rtf:.4f}"),
        ("  in processor time", "{rtf_cpu:.4f}"),
        ("word end to word shown p50 / p95", "{emission_p50_ms:.0f} / {emission_p95_ms:.0f} ms"),
        (
            "  with the time for computing",
            "{emission_with_compute_p50_ms:.0f} / {emission_with_compute_p95_ms:.0f} ms",
        ),
    ]
    for label, pattern in rows:
        table.add_row(label, *(pattern.format(**found) for found in figures.values()))
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech_dir", type=Path)
    parser.add_argument("-m", "--model", default=SYNTHETIC_MODEL)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--delay", type=float)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    clips = read_clips(args.speech_dir)
    clips = Random(SEED).sample(clips, min(args.limit, len(clips)))
    with one_core() as pinned:
        ours, peer = Edgestream(args.model, args.delay), Pocketsphinx()
        about = describe(ours.model) | {"one_core": pinned, "delay_ms": ours.delay_ms}
        about |= {"speech": args.speech_dir.name, "sentences": len(clips)}
        results = {captioner.name: Result() for captioner in (ours, peer)}
        for i, clip in enumerate(clips):
            for captioner in (ours, peer) if i % 2 else (peer, ours):
                caption(captioner, clip, results[captioner.name])
    figures = {name: result.figures() for name, result in results.items()}
    words = results[ours.name].score.words
    show(figures, f"{args.speech_dir.name}: {len(clips)} sentences, {words} words")
    if args.json:
        args.json.write_text(json.dumps(about | figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
