# SPDX-License-Identifier: Apache-2.0
"""Event F1 of an exported commentator: python evaluate_watch.py MODEL_DIR SCENES [--base 0]

Runs what ships: the ONNX encoder, the GGUF decoder in its ring, the silence policy. An event counts
as told when a comment of its kind, subject (size and colour) and direction is begun within 1.5 s.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from vocabulary import BOS, END, SILENCE, WORDS, Event, parse

from edgestream.decoder import GgufModel, InterleavedLoop, LoopConfig, RingDecoder
from edgestream.policy import SilenceThreshold

WITHIN_MS = 1500
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


def score(told: list[Event], happened: list[Event], full: bool) -> tuple[int, list[float]]:
    """How many of `told` were right, and how late; `full` asks for the subject too."""
    left, late_ms = list(happened), []
    for comment in told:
        fits = [
            e for e in left
            if e.kind == comment.kind and e.side == comment.side
            and (not full or (e.size, e.colour) == (comment.size, comment.colour))
            and abs(comment.visible_ms - e.visible_ms) <= WITHIN_MS
        ]  # fmt: skip
        if fits:
            left.remove(fits[0])
            late_ms.append(comment.visible_ms - fits[0].visible_ms)
    return len(late_ms), late_ms


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("scenes", type=Path)
    options.add_argument("--base", type=float, default=0.0)
    options.add_argument("--show", type=int, default=0)
    args = options.parse_args()
    pictures = np.load(args.scenes.with_suffix(".npy"), mmap_mode="r")
    file = json.loads(args.scenes.with_suffix(".json").read_text())
    commentary, counts, late = Commentary(args.model, args.base), Counter[str](), []
    for i, scene in enumerate(file["scenes"]):
        happened = [Event(**e) for e in scene["events"]]
        commentary.reset()
        lines = [(t, commentary.push(picture)) for t, picture in enumerate(pictures[i])]
        told = [parse(text, t * file["picture_ms"]) for t, text in lines if text]
        counts["garbled"] += told.count(None)
        known = [e for e in told if e is not None]
        counts["told"] += len(told)
        counts["happened"] += len(happened)
        counts["right, any subject"] += score(known, happened, full=False)[0]
        right, late_ms = score(known, happened, full=True)
        counts["right"] += right
        late += late_ms
        if i < args.show:
            print(*(f"{t}: {text}" for t, text in lines if text), sep="\n")
            print("happened:", *(f"{e.visible_ms / 200:.0f}: {e.text}" for e in happened), sep="\n")
    total = counts["told"] + counts["happened"]
    print(dict(counts))
    print(f"F1 {2 * counts['right'] / total:.3f}, of kind and direction alone "
          f"{2 * counts['right, any subject'] / total:.3f}")  # fmt: skip
    if late:
        print(f"late p50 {np.percentile(late, 50):.0f} ms, p95 {np.percentile(late, 95):.0f} ms")


if __name__ == "__main__":
    main()
