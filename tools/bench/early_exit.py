# SPDX-License-Identifier: Apache-2.0
"""What early exit costs and brings a caption model: a table of layers and thresholds.

    python tools/bench/early_exit.py [SPEECH_DIR] [-m models/synthetic-en] [--limit 200]
                                      [--rounds 5]

SPEECH_DIR is a folder that tools/train/captions/speak.py wrote; without one the clips that come
with edgestream. Every setting decodes the same clips, encoded once, at the model's own delay. Times
are of the loop alone, one thread's processor time, in turns, the least of the rounds.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random

import numpy as np

from edgestream.bench.policy.run import EncodedClip, encode, written_words
from edgestream.decoder import GgufModel, RingDecoder
from edgestream.policy import WaitK
from edgestream.scoring.clips import BUNDLED, read_clips
from edgestream.scoring.words import Score
from edgestream.speech.concatenated.model import Model, load

THRESHOLDS = (0.0, 0.8, 0.95, 0.99, 0.999, 0.9999)
TIMED_CLIPS = 20
SEED = 5


class Run:
    """The model's loop with one exit; notes the least time that it took."""

    def __init__(self, model: Model, exit_layer: int, exit_threshold: float) -> None:
        if not isinstance(model.decoder, GgufModel):
            raise SystemExit("bench_exit: early exit is for GGUF decoders; this one is ONNX")
        memory = model.manifest.decoder
        self.model, self.exit_layer, self.exit_threshold = model, exit_layer, exit_threshold
        self.ring = RingDecoder(
            model.decoder, n_sinks=memory.n_sinks, window=memory.window, max_rows=1,
            exit_layer=exit_layer, exit_threshold=exit_threshold,
        )  # fmt: skip
        delay = model.manifest.policy.delay_frames
        self.loop = model.loop(WaitK(0), delay, decoder=self.ring)
        self.score, self.tokens = Score(), [np.empty(0, np.int32)]
        self.n_exits = self.n_rows = 0
        self.least_s = float("inf")

    def decode(self, clip: EncodedClip) -> None:
        """Writes a clip and counts its word errors and exits."""
        self.loop.reset()
        tokens, _, waited = self.loop.push(clip.rows)
        self.n_exits += self.ring.n_exits
        self.n_rows += self.ring.pos
        self.tokens.append(tokens)
        words = [word.text for word in written_words(self.model, tokens, waited)]
        self.score.add([word.text for word in clip.spoken], words)

    def time(self, clips: list[EncodedClip]) -> None:
        """Writes clips once more, on the clock."""
        start_s = time.thread_time()
        for clip in clips:
            self.loop.reset()
            self.loop.push(clip.rows)
        self.least_s = min(self.least_s, time.thread_time() - start_s)


def main() -> None:
    """Measures all settings and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("speech", type=Path, nargs="?", default=BUNDLED)
    parser.add_argument("-m", "--model", default="synthetic-en")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    model = load(args.model)
    clips = read_clips(args.speech)
    clips = Random(SEED).sample(clips, min(args.limit, len(clips)))
    encoded = encode(model, clips)
    plain = Run(model, 0, 1.0)
    exits = [
        Run(model, layer, threshold)
        for layer in range(1, model.decoder.n_layers)
        for threshold in THRESHOLDS
    ]
    for run in (plain, *exits):
        for clip in encoded:
            run.decode(clip)
    for _ in range(args.rounds):
        for run in (plain, *exits):
            run.time(encoded[:TIMED_CLIPS])
    print(f"{len(clips)} sentences, {plain.score.words} words, {plain.n_rows} steps\n")
    show(plain, exits)


def show(plain: Run, exits: list[Run]) -> None:
    """Prints a line for each run."""
    print("| layers before the exit | threshold | exits | words wrong | same tokens | speed-up |")
    print("|---|---|---|---|---|---|")
    expected = np.concatenate(plain.tokens)
    for run in (plain, *exits):
        same = np.mean(np.concatenate(run.tokens) == expected)
        where = f"{run.exit_layer} | {run.exit_threshold:g}" if run.exit_layer else "no exit |"
        print(
            f"| {where} | {run.n_exits / run.n_rows:.1%} | {run.score.wer:.1%} | {same:.1%}"
            f" | {plain.least_s / run.least_s:.2f} |"
        )


if __name__ == "__main__":
    main()
