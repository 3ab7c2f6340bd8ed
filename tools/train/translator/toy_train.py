# SPDX-License-Identifier: Apache-2.0
"""Trains the toy translator on one thread: python train.py OUT.pt [--steps 3000] [--resume]

Batch after batch is drawn by its number, so that a run can be repeated. Lines go to OUT.log.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from pathlib import Path
from random import Random
from typing import Any, TextIO

import torch
from llama_parts import Muon
from toy_batches import Batch, draw_batch, loss_of
from toy_network import Shape, Translator
from toy_vocabulary import Vocabulary, make_vocabulary

PEAK_RATE, WARM_UP, LEAST = 4e-3, 100, 0.01
SHORT_SHARE = 0.15  # of the steps, the first ones, are of short streams
DECAY = 0.02
SAVE_EVERY = TELL_EVERY = 50  # steps


class Run:
    """The network, its average, and its optimisers, as they are saved."""

    def __init__(self, out: Path, resume: bool, seed: int) -> None:
        torch.manual_seed(seed)
        self.out, self.seed, self.step, self.passed_s = out, seed, 0, 0.0
        saved = torch.load(out, map_location="cpu", weights_only=True) if resume else None
        self.vocabulary = Vocabulary(saved["vocabulary"] if saved else make_vocabulary())
        self.network = Translator(Shape(len(self.vocabulary.texts)))
        self.average = copy.deepcopy(self.network)
        inside = [p for p in self.network.layers.parameters() if p.dim() == 2]
        others = [p for p in self.network.parameters() if all(p is not q for q in inside)]
        self.optimisers = [
            Muon(inside, PEAK_RATE, DECAY),
            torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=DECAY),
        ]
        if saved:
            self._go_on(saved)

    def _go_on(self, saved: dict[str, Any]) -> None:
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.step, self.passed_s = saved["step"], saved["passed_s"]

    def batch(self, n_steps: int) -> Batch:
        """That of this step; layouts take turns."""
        rng = Random(self.seed * 1_000_003 + self.step)
        layout = ("grouped", "interleaved")[self.step % 2]
        return draw_batch(rng, self.vocabulary, layout,
                          "short" if self.step < SHORT_SHARE * n_steps else "long")  # fmt: skip

    def learn(self, batch: Batch, rate: float, args: argparse.Namespace) -> dict[str, float]:
        """One step."""
        # Around one step only: autocast keeps its casts of the weights until it is left.
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bfloat16):
            loss, figures = loss_of(self.network, batch)
        for optimiser in self.optimisers:
            optimiser.param_groups[0]["lr"] = rate
            optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        with torch.no_grad():
            keep = min(args.average, self.step / (self.step + 10))
            for a, p in zip(self.average.parameters(), self.network.parameters(), strict=True):
                a.lerp_(p, 1 - keep)
        self.step += 1
        return figures

    def save(self) -> None:
        """The whole run, replaced as one."""
        part = self.out.with_suffix(".part")
        torch.save({
            "shape": self.network.shape.as_dict(), "step": self.step, "passed_s": self.passed_s,
            "vocabulary": self.vocabulary.texts, "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }, part)  # fmt: skip
        part.replace(self.out)


def train(run: Run, args: argparse.Namespace, log: TextIO) -> None:
    """All steps that are left; the rate rises, then falls along a cosine."""
    begun_s, n_steps = time.monotonic() - run.passed_s, args.steps
    shown: dict[str, list[dict[str, float]]] = {"grouped": [], "interleaved": []}
    while run.step < n_steps:
        fall = 0.5 * (1 + math.cos(math.pi * run.step / n_steps))
        rate = PEAK_RATE * min(1, (run.step + 1) / WARM_UP) * max(LEAST, fall)
        layout = ("grouped", "interleaved")[run.step % 2]
        shown[layout].append(run.learn(run.batch(n_steps), rate, args))
        run.passed_s = time.monotonic() - begun_s
        if run.step % TELL_EVERY == 0:
            for name, figures in shown.items():
                means = {k: sum(f[k] for f in figures) / len(figures) for k in figures[0]}
                told = " ".join(f"{k} {v:.4f}" for k, v in means.items())
                print(f"{run.step} {run.passed_s:.0f} s {name}: {told}", file=log, flush=True)
                figures.clear()
        if run.step % SAVE_EVERY == 0:
            run.save()
    run.save()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("--steps", type=int, default=3000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument(
        "--average", type=float, default=0.997, help="share of it that a step keeps"
    )
    options.add_argument("--resume", action="store_true")
    options.add_argument("--bfloat16", action="store_true", help="where the CPU multiplies in it")
    args = options.parse_args()
    torch.set_num_threads(1)
    run = Run(args.out, args.resume, args.seed)
    with args.out.with_suffix(".log").open("a") as log:
        n = sum(p.numel() for p in run.network.parameters())
        print(f"{n} parameters, {len(run.vocabulary.texts)} tokens", file=log, flush=True)
        train(run, args, log)


if __name__ == "__main__":
    main()
