# SPDX-License-Identifier: Apache-2.0
"""Trains the streaming model of tracks: python train_tracks.py FOLDER --out OUT.pt

FOLDER has lessons of make_lessons.py, and may get more meanwhile. --minutes M: how long. --resume:
goes on from OUT.pt with its optimiser. Lines go to OUT.log too.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from track_network import TrackShape, TrackTeller
from track_words import BOS, SILENCE

BATCH, ROWS = 8, 384  # examples a step, rows of each
PEAK_RATE, WARM_UP = 2e-3, 60
SPOKEN_WEIGHT = 2.0  # of rows after which something is said: few against silence
START = 0.35  # share of the examples that are a scene's start
AVERAGE = 0.997
NOISE = 0.02  # on the numbers
SAVE_EVERY = 100  # steps


class Lessons:
    """Crops of scenes, as `make_lessons.py` wrote them in a folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.folder, self._read = folder, set[Path]()
        self.scenes: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.refresh()

    def refresh(self) -> None:
        """Reads the files that are new."""
        for path in sorted(set(self.folder.glob("*.npz")) - self._read):
            self._read.add(path)
            file = np.load(path)
            numbers, rows, targets = file["numbers"], file["rows"], file["targets"]
            begin = np.zeros(2, int)
            for end in file["ends"]:
                laid = slice(begin[1], end[1])
                self.scenes.append((numbers[begin[0] : end[0]], rows[laid], targets[laid]))
                begin = end
        lengths = np.array([len(s[1]) for s in self.scenes], float)
        self.chances = lengths / lengths.sum()

    def batch(self, n: int) -> dict[str, Tensor]:
        """`n` examples: numbers [n, T, .], rows [n, ROWS], targets [n, ROWS]."""
        drawn = self.random.choice(len(self.scenes), n, p=self.chances)
        examples = [self._example(int(i)) for i in drawn]
        longest = max(len(e[0]) for e in examples)
        numbers = np.zeros((n, longest, examples[0][0].shape[1]), np.float32)
        rows, targets = np.zeros((n, ROWS), np.int64), np.full((n, ROWS), -1, np.int64)
        for k, (seen, laid, follow) in enumerate(examples):
            numbers[k, : len(seen)] = seen
            rows[k, : len(laid)], targets[k, : len(laid)] = laid, follow
        return {"numbers": torch.from_numpy(numbers), "rows": torch.from_numpy(rows),
                "targets": torch.from_numpy(targets)}  # fmt: skip

    def _example(self, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        numbers, rows, targets = self.scenes[i]
        if len(rows) <= ROWS or self.random.random() < START:
            first = 0
        else:
            first = int(self.random.integers(1, len(rows) - ROWS + 1))
        # After BOS, as in a ring that keeps it as its sink.
        part = slice(first, first + ROWS) if not first else slice(first, first + ROWS - 1)
        laid, follow = rows[part].copy(), targets[part]
        tracks = -1 - laid[laid < 0]
        base = int(tracks.min()) if len(tracks) else 0
        laid[laid < 0] += base
        if first:
            laid, follow = np.concatenate([[BOS], laid]), np.concatenate([[-1], follow])
        seen = numbers[base : int(tracks.max()) + 1].astype(np.float32)
        return seen + self.random.normal(0, NOISE, seen.shape), laid, follow


def loss_of(network: TrackTeller, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of what follows each row."""
    scores = network(batch["numbers"], batch["rows"]).float().flatten(0, 1)
    targets = batch["targets"].flatten()
    each = F.cross_entropy(scores, targets, ignore_index=-1, reduction="none")
    weight = torch.where(targets > 0, SPOKEN_WEIGHT, 1.0) * (targets >= 0)
    with torch.no_grad():
        spoken, told = targets > 0, scores.argmax(-1)
        said = (told == targets)[spoken].float().mean()
        wrong = ((told != SILENCE) & (targets == SILENCE)).sum() / max(1, int(spoken.sum()))
    loss = (each * weight).sum() / weight.sum()
    return loss, {"loss": loss.item(), "said": said.item(), "wrong": wrong.item()}


class Run:
    """The network, its average, and its optimiser, as they are saved."""

    def __init__(self, out: Path, resume: bool) -> None:
        torch.manual_seed(0)
        self.out, self.step, self.passed_s = out, 0, 0.0
        self.network = TrackTeller(TrackShape())
        self.average = copy.deepcopy(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), betas=(0.9, 0.98), weight_decay=0.02
        )
        if resume:
            saved = torch.load(out, map_location="cpu", weights_only=True)
            self.network.load_state_dict(saved["network"])
            self.average.load_state_dict(saved["average"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.step, self.passed_s = saved["step"], saved["passed_s"]

    def learn(self, batch: dict[str, Tensor], rate: float, bfloat16: bool) -> dict[str, float]:
        """One step."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        # Around one step only: autocast keeps its casts of the weights until it is left.
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss, figures = loss_of(self.network, batch)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            keep = min(AVERAGE, self.step / (self.step + 10))
            for a, p in zip(self.average.parameters(), self.network.parameters(), strict=True):
                a.lerp_(p, 1 - keep)
        self.step += 1
        return figures

    def save(self) -> None:
        """The whole run, replaced as one."""
        part = self.out.with_suffix(".part")
        saved = {"shape": self.network.shape.as_dict(), "step": self.step,
                 "passed_s": self.passed_s, "network": self.network.state_dict(),
                 "average": self.average.state_dict(),
                 "optimiser": self.optimiser.state_dict()}  # fmt: skip
        torch.save(saved, part)
        part.replace(self.out)


def train(run: Run, lessons: Lessons, seconds: float, bfloat16: bool, log: TextIO) -> None:
    """Until the time is up, that of earlier parts included; the rate falls along a cosine."""
    begun_s, shown = time.monotonic() - run.passed_s, []
    while (passed := (time.monotonic() - begun_s) / seconds) < 1:
        rate = PEAK_RATE * min(1, (run.step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * passed))
        shown.append(run.learn(lessons.batch(BATCH), rate, bfloat16))
        run.passed_s = time.monotonic() - begun_s
        if run.step % 50 == 0:
            means = {k: np.nanmean([f[k] for f in shown[-50:]]) for k in shown[-1]}
            told = " ".join(f"{k} {v:.4f}" for k, v in means.items())
            print(f"{run.step} {run.passed_s:.0f} s {told}", file=log, flush=True)
        if run.step % SAVE_EVERY == 0:
            run.save()
            lessons.refresh()
    run.save()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("lessons", type=Path)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--minutes", type=float, default=40)
    options.add_argument("--resume", action="store_true")
    options.add_argument("--bfloat16", action="store_true")
    args = options.parse_args()
    torch.set_num_threads(1)
    run = Run(args.out, args.resume)
    lessons = Lessons(args.lessons, int(time.time()))
    with args.out.with_suffix(".log").open("a") as log:
        n = sum(p.numel() for p in run.network.parameters())
        print(f"{n} parameters, {len(lessons.scenes)} scenes", file=log, flush=True)
        train(run, lessons, 60 * args.minutes, args.bfloat16, log)


if __name__ == "__main__":
    main()
