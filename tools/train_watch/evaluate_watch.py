# SPDX-License-Identifier: Apache-2.0
"""Event F1 of an exported commentator: python evaluate_watch.py MODEL_DIR SCENES [--base 0]

Runs what ships: the ONNX encoder, the GGUF decoder in its ring, the silence policy. An event counts
as told when a comment of its kind, subject (size and colour) and direction is begun within 1.5 s.
Several thresholds give a line each, and the table of the last.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from event_score import Score
from numpy.typing import NDArray
from vocabulary import BOS, END, SILENCE, WORDS, Event, parse

from edgestream.decoder import GgufModel, InterleavedLoop, LoopConfig, RingDecoder
from edgestream.policy import SilenceThreshold

WINDOW, N_SINKS = 96, 1
MAX_WORDS = 12


class Commentary:
    """One stream: pictures in, comments out."""

    def __init__(self, folder: Path, base: float) -> None:
        self.session = ort.InferenceSession(
            str(folder / "encoder.onnx"), providers=["CPUExecutionProvider"]
        )
        self.model = GgufModel(str(folder / "decoder.gguf"))
        self.decoder = RingDecoder(self.model, n_sinks=N_SINKS, window=WINDOW)
        self.policy = SilenceThreshold(base)
        config = LoopConfig(
            max_tokens_per_unit=MAX_WORDS, silence=SILENCE, end_of_turn=[END],
            overrule_silence=True, n_text=len(WORDS),
        )  # fmt: skip
        self.loop = InterleavedLoop(
            self.decoder, self.policy, config, prompt=[BOS], remember_silence=False
        )
        self.reset()

    def reset(self) -> None:
        inputs = self.session.get_inputs()[1:]
        self.states = {i.name: np.zeros(i.shape, np.float32) for i in inputs}
        self.loop.reset()

    def push(self, picture: NDArray[np.uint8]) -> str:
        """uint8 [48, 64, 3] -> the comment that it brings, often empty."""
        feed = {"picture": np.float32(picture[None]) / 255, **self.states}
        embedding, *after = self.session.run(None, feed)
        self.states = dict(zip(self.states, after, strict=True))
        tokens, _, _ = self.loop.push(embedding[0])
        return " ".join(WORDS[t] for t in tokens if t not in (SILENCE, END))


def run(commentary: Commentary, scenes: Path, show: int) -> tuple[Score, int, float]:
    """The score, and comments and minutes of the scenes in which nothing happens."""
    pictures = np.load(scenes.with_suffix(".npy"), mmap_mode="r")
    file = json.loads(scenes.with_suffix(".json").read_text())
    score, n_false, still_min = Score(), 0, 0.0
    for i, scene in enumerate(file["scenes"]):
        happened = [Event(**e) for e in scene["events"]]
        commentary.reset()
        spoken = [(t * file["picture_ms"], commentary.push(p)) for t, p in enumerate(pictures[i])]
        comments = [(at_ms, text) for at_ms, text in spoken if text]
        score.add([parse(text, at_ms) for at_ms, text in comments], happened)
        if not happened:
            n_false += len(comments)
            still_min += len(spoken) * file["picture_ms"] / 60000
        if i < show:
            print(f"scene {i}")
            print(*(f"  told {at / 1000:.1f} s: {text}" for at, text in comments), sep="\n")
            print(*(f"  true {e.visible_ms / 1000:.1f} s: {e.text}" for e in happened), sep="\n")
    return score, n_false, still_min


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("scenes", type=Path)
    options.add_argument("--base", type=float, nargs="+", default=[0.0], help="silence thresholds")
    options.add_argument("--show", type=int, default=0, help="print the first so many scenes")
    args = options.parse_args()
    for base in args.base:
        score, n_false, still_min = run(Commentary(args.model, base), args.scenes, args.show)
        print(
            f"threshold {base:g}: F1 {score.f1:.3f}, kind and direction {score.f1_but_subject:.3f};"
            f" {score.happened.total()} events, {score.n_told} comments, {score.garbled} garbled"
        )
        if score.late_ms:
            p50, p95 = np.percentile(score.late_ms, (50, 95))
            print(f"after their event: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
        if still_min:
            print(f"where nothing happens: {n_false} comments in {still_min:.1f} minutes")
    if score.happened.total():
        print(score.table())


if __name__ == "__main__":
    main()
