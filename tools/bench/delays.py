# SPDX-License-Identifier: Apache-2.0
"""What a longer delay buys: word errors and latency at every delay that the model takes.

    python tools/bench/delays.py SPEECH_DIR [--limit 300] [--json FILE]

SPEECH_DIR is made by tools/train/captions/speak.py. The same sentences at each delay, each a
stream of its own.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgestream.bench.listen.probe import Latency, hear
from edgestream.bench.machine import describe
from edgestream.library.manifest.manifest import SYNTHETIC_MODEL
from edgestream.scoring.clips import RATE_HZ, Clip, padded, read_clips, silence, spoken
from edgestream.scoring.words import Score
from edgestream.speech.concatenated.model import Model, load

LEAD_MS, TAIL_MS = 300.0, 1500.0  # the tail is longer than any delay
SEED = 3


def measure(model: Model, clips: list[Clip], delay_ms: float) -> dict[str, Any]:
    """Word error rate and latency on the audio clock at one delay."""
    score, latency, lead = Score(), Latency(), silence(LEAD_MS)
    for clip in clips:
        sound = np.concatenate([lead, padded(clip.samples, TAIL_MS)])
        said = spoken(clip, 1000 * len(lead) / RATE_HZ)
        probe, _ = hear(model.stream(delay_ms=delay_ms), [(sound, said)])
        score.add([word.text for word in said], probe.reader.texts)
        latency.add(said, probe)
    p50, p95 = np.percentile(latency.shown_after_ms or [np.nan], (50, 95))
    return {
        "delay_ms": delay_ms, "wer": score.wer, "words": score.words,
        "emission_p50_ms": p50, "emission_p95_ms": p95,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech_dir", type=Path)
    parser.add_argument("-m", "--model", default=SYNTHETIC_MODEL)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    clips = read_clips(args.speech_dir)
    clips = Random(SEED).sample(clips, min(args.limit, len(clips)))
    model = load(args.model)
    about = describe(model) | {"speech": args.speech_dir.name, "sentences": len(clips)}
    policy, step_ms = model.manifest.policy, model.manifest.decoder.step_ms
    frames = range(policy.min_delay_frames, policy.max_delay_frames + 1)
    rows = [measure(model, clips, float(n * step_ms)) for n in frames]
    table = Table("delay", "word error rate", "shown after p50 / p95", title=args.speech_dir.name)
    for row in rows:
        shown = f"{row['emission_p50_ms']:.0f} / {row['emission_p95_ms']:.0f} ms"
        table.add_row(f"{row['delay_ms']:.0f} ms", f"{row['wer']:.1%}", shown)
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(about | {"delays": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
