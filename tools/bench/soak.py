# SPDX-License-Identifier: Apache-2.0
"""Hours of speech through one `edgestream listen`, as fast as it takes them: is it still the same?

    python tools/bench/soak.py SPEECH_DIR [--hours 3] [--json FILE] [--plot FILE]

The command itself runs as a process that is fed through its pipe. Each minute of the stream its
resident memory and its processor time are read; each half hour of its captions is scored.
Linux only. SPEECH_DIR is made by tools/train/captions/speak.py.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from soak_table import soak_table

from edgestream.bench.machine import describe
from edgestream.bench.process import Memory, Reading, feed
from edgestream.library.manifest.manifest import SYNTHETIC_MODEL
from edgestream.scoring.clips import RATE_HZ, Clip, long_stream, read_clips
from edgestream.scoring.words import Score, spoken_words
from edgestream.sources.block import Samples
from edgestream.speech.concatenated.model import Model, load

SEGMENT_MS = 30 * 60_000.0
READ_INTERVAL_S = 60.0


@dataclass
class Said:
    """The words of a stream by SEGMENT_MS, noted while it is fed."""

    segments: list[list[str]] = field(default_factory=list)
    starts_ms: list[float] = field(default_factory=list)  # of the pieces that begin them

    def pieces(self, clips: list[Clip], minutes: float) -> Iterator[Samples]:
        """The stream's samples."""
        heard_ms = 0.0
        for piece, words in long_stream(clips, minutes):
            if heard_ms >= len(self.segments) * SEGMENT_MS and words:
                self.segments.append([])
                self.starts_ms.append(heard_ms)
            self.segments[-1] += [word.text for word in words]
            heard_ms += 1000 * len(piece) / RATE_HZ
            yield piece

    def score(self, captions: Path) -> list[Score]:
        """Word errors of each segment of the JSONL that came out."""
        heard: list[list[str]] = [[] for _ in self.segments]
        for line in captions.read_text(encoding="utf-8").splitlines():
            for word in json.loads(line).get("words", []):
                segment = int(np.searchsorted(self.starts_ms, word["end_ms"], side="right")) - 1
                heard[segment] += spoken_words(word["text"])
        scores = []
        for reference, hypothesis in zip(self.segments, heard, strict=True):
            score = Score()
            score.add(reference, hypothesis)
            scores.append(score)
        return scores


def soak(model: Model, clips: list[Clip], hours: float) -> tuple[list[Reading], list[Score]]:
    """Readings by the minute and scores by the half hour."""
    said = Said()
    delay_ms = float(model.manifest.policy.delay_frames * model.manifest.decoder.step_ms)
    with tempfile.TemporaryDirectory() as folder:
        captions = Path(folder) / "captions.jsonl"
        pieces = said.pieces(clips, 60 * hours)
        fed = feed(model.folder, delay_ms, pieces, interval_s=READ_INTERVAL_S, captions=captions)
        readings = list(fed)
        return readings, said.score(captions)


def figures_of(model: Model, readings: list[Reading], scores: list[Score]) -> dict[str, Any]:
    """For the table, JSON and the plot."""
    memory = Memory(readings)
    minutes, cpu_s = np.array(memory.minutes), np.array([r.cpu_s for r in readings])
    step_s = model.manifest.decoder.step_ms / 1000
    # Over a minute's steps: the whole way, from samples to captions.
    step_ms = np.diff(cpu_s) / np.diff(minutes * 60) * step_s * 1000
    return {
        "hours": readings[-1].minute / 60,
        "rss_most_mb": memory.most_mb(),
        "rss_mb_at_minutes": {str(m): memory.at(m) for m in (1, 30, 60, 120, 180)},
        "rss_slope_mb_per_hour": memory.slope_mb_per_hour(),
        "walk_cpu_ms_per_step": {
            "first_half_hour": float(np.median(step_ms[minutes[1:] < 30])),
            "last_half_hour": float(np.median(step_ms[minutes[1:] > minutes[-1] - 30])),
        },
        "wer_by_half_hour": [score.wer for score in scores],
        "words_by_half_hour": [score.words for score in scores],
        "series": {
            "minute": memory.minutes, "rss_mb": memory.rss_mb, "walk_cpu_ms_per_step": list(step_ms)
        },
    }  # fmt: skip


def show(figures: dict[str, Any]) -> None:
    """The summary."""
    table = soak_table(figures, "walk_cpu_ms_per_step", "step")
    for i, wer in enumerate(figures["wer_by_half_hour"], 1):
        table.add_row(f"word error rate, half hour {i}", f"{wer:.1%}")
    Console().print(table)


def draw(figures: dict[str, Any], path: Path) -> None:
    """Memory, processor time and errors over the hours, as a PNG."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    series = figures["series"]
    hours = np.array(series["minute"]) / 60
    figure, (memory, steps, errors) = plt.subplots(
        3, 1, figsize=(9, 7), dpi=110, sharex=True, layout="constrained"
    )
    memory.plot(hours, series["rss_mb"], color="C2")
    memory.set_ylim(0, 1.3 * figures["rss_most_mb"])
    memory.set_ylabel("resident memory [MB]")
    steps.plot(hours[1:], series["walk_cpu_ms_per_step"], lw=1)
    steps.set_ylim(bottom=0)
    steps.set_ylabel("processor time\na step [ms]")
    wers = [100 * wer for wer in figures["wer_by_half_hour"]]
    errors.bar(0.25 + 0.5 * np.arange(len(wers)), wers, width=0.45)
    errors.set_ylabel("word error rate [%]")
    errors.set_xlabel("hours of speech heard")
    figure.savefig(path, format="png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech_dir", type=Path)
    parser.add_argument("-m", "--model", default=SYNTHETIC_MODEL)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    model = load(args.model)
    figures = describe(model) | {"speech": args.speech_dir.name}
    readings, scores = soak(model, read_clips(args.speech_dir), args.hours)
    figures |= figures_of(model, readings, scores)
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if args.plot:
        draw(figures, args.plot)


if __name__ == "__main__":
    main()
