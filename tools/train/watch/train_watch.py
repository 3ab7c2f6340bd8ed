# SPDX-License-Identifier: Apache-2.0
"""Trains the commentator: python train_watch.py SCENES OUT.pt [--minutes M] [--resume] [--bfloat16]

SCENES is the path without ending of what make_scenes.py wrote. --bfloat16 halves the time where the
CPU has AVX512-BF16.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from vocabulary import COLOURS, FLIPPED, MIRRORED, SIZES, TOKEN, lay_out
from watcher import Commentator, Shape

BATCH = 8
CROP = 80  # pictures of a scene that one example takes
PEAK_RATE, WARM_UP = 2e-3, 40
SPOKEN_WEIGHT = 3.0  # of rows after which something is said: few against silence
TRUTH_WEIGHT = 1.0
START = 0.3  # share of the examples that are a scene's start; others have seen what was before
RATE = Shape().background_rate
AVERAGE = 0.995


class Scenes:
    """Training examples: crops of scenes, mirrored and flipped with their words."""

    def __init__(self, path: Path, seed: int) -> None:
        self.pictures = np.load(path.with_suffix(".npy"), mmap_mode="r")
        self.truths = json.loads(path.with_suffix(".json").read_text())["scenes"]
        self.random = np.random.default_rng(seed)

    def batch(self, n: int) -> dict[str, Tensor]:
        examples = [self._example(int(i)) for i in self.random.integers(0, len(self.truths), n)]
        longest = max(len(e["rows"]) for e in examples)
        batch = {}
        for name, fill in (("rows", 0), ("targets", -1)):
            batch[name] = torch.tensor(
                [e[name] + [fill] * (longest - len(e[name])) for e in examples]
            )
        for name in examples[0].keys() - {"rows", "targets"}:
            batch[name] = torch.from_numpy(np.stack([e[name] for e in examples]))
        for name in ("pictures", "last", "background"):
            batch[name] = batch[name].float() / 255
        return batch

    def _example(self, i: int) -> dict[str, Any]:
        truth = self.truths[i]
        n = self.pictures.shape[1]
        first = int(self.random.integers(0, n - CROP + 1)) if self.random.random() > START else 0
        part = slice(first, first + CROP)
        pictures, position = self.pictures[i, part], np.float32(truth["position"])[part]
        before = self._before(i, first)
        swapped: dict[int, int] = {}
        for axis, words in ((2, MIRRORED), (1, FLIPPED)):
            if self.random.random() < 0.5:
                pictures = np.flip(pictures, axis)
                before = {k: np.flip(v, axis - 1) if v.ndim > 1 else v for k, v in before.items()}
                position = position.copy()
                position[:, 2 - axis] = 1 - position[:, 2 - axis]
                pairs = {**words, **{b: a for a, b in words.items()}}
                swapped |= {TOKEN[a]: TOKEN[b] for a, b in pairs.items()}
        comments = [
            (turn - first, [swapped.get(w, w) for w in words])
            for turn, words, _ in truth["comments"]
            if first <= turn < first + CROP
        ]
        rows, targets = lay_out(comments, CROP)
        known = {k: np.array(truth[k])[part] for k in ("here", "colour", "size")}
        known |= {k: np.float32(truth[k])[part] for k in ("light", "cover")}
        before = {k: v.copy() for k, v in before.items()}
        return {"rows": rows, "targets": targets, "pictures": pictures.copy(),
                "position": position, **before, **known}  # fmt: skip

    def _before(self, i: int, first: int) -> dict[str, NDArray[np.float32]]:
        """The encoder's state after the pictures before `first`: last one, background, any."""
        seen = np.float32(self.pictures[i, : max(1, first)])
        weights = RATE * (1 - RATE) ** np.arange(len(seen) - 1, -1, -1, dtype=np.float32)
        weights[0] += (1 - RATE) ** len(seen)
        background = np.tensordot(weights, seen, 1)
        any_ = np.float32([first > 0])
        return {"last": any_ * seen[-1], "background": any_ * background, "any": any_}


def loss_of(network: Commentator, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """What is said, and beside it what is seen, which teaches the encoder sooner."""
    states = [batch[name].permute(0, 3, 1, 2) for name in ("last", "background")]
    states.append(batch["any"][..., None, None])
    scores, truths = network(batch["pictures"], batch["rows"], states)
    targets = batch["targets"].flatten()
    each = F.cross_entropy(scores.float().flatten(0, 1), targets, ignore_index=-1, reduction="none")
    weight = torch.where(targets > 0, SPOKEN_WEIGHT, 1.0) * (targets >= 0)
    said = (each * weight).sum() / weight.sum()
    seen = _truth_loss(truths, batch)
    spoken = targets > 0
    right = (scores.flatten(0, 1).argmax(-1) == targets)[spoken].float().mean()
    return said + TRUTH_WEIGHT * seen, {"said": said.item(), "seen": seen.item(),
                                        "words": right.item()}  # fmt: skip


def _truth_loss(truths: Tensor, batch: dict[str, Tensor]) -> Tensor:
    plain, colour, size = truths.float().split([5, len(COLOURS), len(SIZES)], -1)
    asked = batch["here"] >= 0
    here = batch["here"].clamp(min=0).float()
    n_here = here.sum().clamp(min=1)
    where = (plain[..., 1:3] - batch["position"]).square().sum(-1)
    names = F.cross_entropy(colour.flatten(0, 1), batch["colour"].flatten(), reduction="none")
    names = names + F.cross_entropy(size.flatten(0, 1), batch["size"].flatten(), reduction="none")
    lit = (plain[..., 3] - batch["light"]).square() + (plain[..., 4] - batch["cover"]).square()
    return (
        F.binary_cross_entropy_with_logits(plain[..., 0], here, asked.float())
        + 8 * (where * here).sum() / n_here
        + 0.5 * (names * here.flatten()).sum() / n_here
        + 2 * lit.mean()
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("scenes", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--minutes", type=float, default=25)
    options.add_argument("--resume", action="store_true")
    options.add_argument("--bfloat16", action="store_true")
    args = options.parse_args()
    torch.manual_seed(0)
    network = Commentator(Shape())
    if args.resume:
        saved = torch.load(args.out, map_location="cpu", weights_only=True)
        network.load_state_dict({k: v.float() for k, v in saved["weights"].items()})
    print(sum(p.numel() for p in network.parameters()), "parameters", flush=True)
    scenes = Scenes(args.scenes, int(time.time()))
    _train(network, scenes, args.out, 60 * args.minutes, args.bfloat16)


def _train(network: Commentator, scenes: Scenes, out: Path, seconds: float, bfloat16: bool) -> None:
    """Until the time is up; the rate falls along a cosine over it."""
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.02)
    begun_s, shown, step = time.monotonic(), [], 0
    while (passed := (time.monotonic() - begun_s) / seconds) < 1:
        rate = PEAK_RATE * min(1, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * passed))
        for group in optimiser.param_groups:
            group["lr"] = rate
        # Around one step only: autocast keeps its casts of the weights until it is left.
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss, figures = loss_of(network, scenes.batch(BATCH))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            keep = min(AVERAGE, step / (step + 10))
            for a, p in zip(average.parameters(), network.parameters(), strict=True):
                a.lerp_(p, 1 - keep)
        shown.append(figures)
        step += 1
        if step % 50 == 0:
            mean = {k: np.nanmean([f[k] for f in shown[-50:]]) for k in figures}
            told = " ".join(f"{k} {v:.3f}" for k, v in mean.items())
            print(f"{step} {time.monotonic() - begun_s:.0f} s {told}", flush=True)
            _save(average, out)
    _save(average, out)


def _save(network: Commentator, out: Path) -> None:
    weights = {name: t.detach().half() for name, t in network.state_dict().items()}
    part = out.with_suffix(".part")
    torch.save({"shape": network.shape.as_dict(), "weights": weights}, part)
    part.replace(out)


if __name__ == "__main__":
    main()
