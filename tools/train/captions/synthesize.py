# SPDX-License-Identifier: Apache-2.0
"""Speaks the training text with the trained voices, shard by shard.

    python synthesize.py TEXT.tsv OUT_DIR [--worker 0 --workers 1 --shards 90]
        [--voice flite:kal16] [--clipped]

Start one process per core with different --worker numbers; training may run meanwhile and picks
up new shards. Every worker's sentences, voices and rates are fixed by its number.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from pathlib import Path
from random import Random

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: one core per worker

from shape import MEL_S
from shards import record, write_shard
from voices import Speakers, draw_voice

SENTENCES_PER_SHARD = 1000
CLIP_DRIVE_DB = (8.0, 20.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--worker", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--shards", type=int, default=90)
    parser.add_argument("--voice", help="instead of drawn ones: more of a voice that lags behind")
    parser.add_argument("--clipped", action="store_true", help="too loud, 8 to 20 dB above usual")
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    lines = args.text.read_text(encoding="utf-8").splitlines()[args.worker :: args.workers]
    texts = [line.partition("\t")[2] for line in lines]
    name = re.sub(r"[:/]", "_", args.voice) if args.voice else "speech"
    name = f"{name}_clipped" if args.clipped else name
    rng = Random(f"train {args.worker}")
    speakers = Speakers(rng)
    for shard in range(args.shards):
        part = texts[shard * SENTENCES_PER_SHARD : (shard + 1) * SENTENCES_PER_SHARD]
        if not part:
            break
        started = time.monotonic()
        spoken = speakers.speak([(args.voice or draw_voice(rng), text) for text in part])
        recordings = [
            record(u, rng.uniform(*CLIP_DRIVE_DB) if args.clipped else 0.0)
            for u in spoken
            if len(u.samples)
        ]
        write_shard(recordings, args.out_dir / f"{name}_{args.worker}_{shard:03d}.npz")
        speech_s = sum(len(r.mel) for r in recordings) * MEL_S
        took_s = time.monotonic() - started
        print(
            f"shard {shard}: {len(recordings)} of {len(part)} sentences,"
            f" {speech_s / 3600:.2f} h in {took_s:.0f} s ({speech_s / took_s:.0f}x)",
            flush=True,
        )


if __name__ == "__main__":
    main()
