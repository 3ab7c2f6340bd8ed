# SPDX-License-Identifier: Apache-2.0
"""Trains the caption network; a run can be stopped and resumed, and takes in new shards.

    OMP_WAIT_POLICY=passive python train.py DATA_DIR RUN_DIR --tokenizer tokenizer.json
        [--minutes 75] [--start CHECKPOINT] [--learning-rate 1.5e-3] [--threads 2]
        [--corruption 0.45] [--augmentation 1.0] [--soups TEXT.tsv --soups-kept 0.35]

Writes `RUN_DIR/checkpoint.pt` (averaged weights, for evaluate.py and export.py) and
`RUN_DIR/resume.pt` (everything) every few minutes, and a line of losses every 20 steps.
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path
from queue import Queue
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from augment import augment
from batches import RowMaker, Speech
from muon import Muon
from network import CaptionNetwork, load_network, save_network
from shape import PAD, STEP_S, UNKNOWN, Shape
from text import held_out
from torch import Tensor

PAD_WEIGHT = 0.5  # most steps are PAD; at full weight the model falls silent
PHONE_WEIGHT = 0.4  # of the auxiliary phone loss, which speeds learning
CORRUPT_TO_PAD = 0.12  # of the previous tokens that are made wrong
WARM_UP_STEPS = 60
FLAT_SHARE, LAST_RATE = 0.3, 0.02  # the learning rate falls linearly after this share of the run
OUTER = ("tokens", "delays", "head", "phone")  # matrices that AdamW trains
AVERAGE_DECAY = 0.995
WEIGHT_DECAY, CLIP_NORM = 0.05, 1.0
REPORT_STEPS, SAVE_S, REFRESH_S, QUEUE_BATCHES = 20, 240, 60, 4


class Batches:
    """Batches made by a thread ahead of time; new shards are read on the way."""

    def __init__(self, speech: Speech, rows: int, steps: int, seed: int, kept: float) -> None:
        self._speech, self._rows = speech, rows
        self._maker = RowMaker(speech, steps, Random(seed), kept)
        self._queue: Queue[list[Tensor]] = Queue(QUEUE_BATCHES)
        threading.Thread(target=self._fill, daemon=True).start()

    def next(self) -> list[Tensor]:
        """mel, labels, phones, quiet, gain, delay, each stacked over rows."""
        return self._queue.get()

    def _fill(self) -> None:
        refreshed = time.monotonic()
        while True:
            rows = [self._maker.row() for _ in range(self._rows)]
            arrays = [[r.mel, r.labels, r.phones, r.quiet, r.gain, r.delay] for r in rows]
            columns = zip(*arrays, strict=True)
            stacked = [np.stack([np.asarray(v) for v in column]) for column in columns]
            stacked[4] = stacked[4].astype(np.float32)
            self._queue.put([torch.from_numpy(part) for part in stacked])
            if time.monotonic() - refreshed > REFRESH_S:
                refreshed = time.monotonic()
                if self._speech.refresh():
                    print(f"speech: {self._speech.hours():.1f} h", flush=True)


def read_soups(text: Path) -> frozenset[str]:
    """The word soups of text.py's file."""
    rows = (line.split("\t") for line in text.read_text(encoding="utf-8").splitlines())
    return frozenset(row[1] for row in rows if row[0] == "soup")


def corrupted(labels: Tensor, n_text: int, most: float) -> Tensor:
    """The previous token of every step, wrong at a rate of U(0, most) per row: it must listen."""
    previous = F.pad(labels[:, :-1], (1, 0), value=PAD)
    rate = most * torch.rand(len(labels), 1)
    wrong = (previous != PAD) & (torch.rand(labels.shape) < rate)
    other = torch.randint(UNKNOWN + 1, n_text, labels.shape)
    other = torch.where(torch.rand(labels.shape) < CORRUPT_TO_PAD, PAD, other)
    return torch.where(wrong, other, previous)


def losses(
    network: CaptionNetwork, mel: Tensor, labels: Tensor, previous: Tensor, phones: Tensor,
    delay: Tensor,
) -> Tensor:  # fmt: skip
    """[total, text, phone, text where a token is due]."""
    scores, phone_scores = network(mel, previous, delay)
    each = F.cross_entropy(scores.float().flatten(0, 1), labels.flatten(), reduction="none")
    weight = torch.where(labels.flatten() == PAD, PAD_WEIGHT, 1.0)
    text = (each * weight).sum() / weight.sum()
    phone = F.cross_entropy(phone_scores.float().flatten(0, 1), phones.flatten())
    due = (labels.flatten() != PAD).float()
    total = text + PHONE_WEIGHT * phone
    return torch.stack([total, text, phone, (each * due).sum() / due.sum().clamp_min(1)])


def optimizers(network: CaptionNetwork, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the inner matrices, AdamW for the rest."""
    inner, matrices, vectors = [], [], []
    for name, p in network.named_parameters():
        is_inner = p.dim() == 2 and not any(part in name for part in OUTER)
        (inner if is_inner else matrices if p.dim() > 1 else vectors).append(p)
    groups = [
        {"params": matrices, "weight_decay": WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98)), Muon(inner, rate, WEIGHT_DECAY)]


def rate_factor(progress: float, step: int) -> float:
    """Share of the full learning rate at `progress` (0..1) of the run."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    fall = max(0.0, (progress - FLAT_SHARE) / (1 - FLAT_SHARE))
    return warm * max(LAST_RATE, 1 - fall * (1 - LAST_RATE))


class Run:
    """Network, averaged copy, optimizers and counters of one training run."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.folder = args, args.run_dir
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network = load_network(args.start) if args.start else CaptionNetwork(Shape())
        self.network.train()
        self.average = CaptionNetwork(self.network.shape)
        self.average.load_state_dict(self.network.state_dict())
        self.optimizers = optimizers(self.network, args.learning_rate)
        self.step, self.spent_s = 0, 0.0
        if (self.folder / "resume.pt").exists():
            self._resume()

    def save(self) -> None:
        """Writes both checkpoints."""
        save_network(self.average, self.folder / "checkpoint.pt")
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "step": self.step,
            "spent_s": self.spent_s,
        }
        part = self.folder / "resume.part"
        torch.save(state, part)
        part.replace(self.folder / "resume.pt")

    def _resume(self) -> None:
        state = torch.load(self.folder / "resume.pt", weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.spent_s = state["step"], state["spent_s"]
        print(f"resumed at step {self.step}, {self.spent_s / 60:.1f} min", flush=True)

    def update(self, batch: list[Tensor], compiled_losses: object) -> Tensor:
        """One step on one batch; returns its losses."""
        mel, labels, phones, quiet, gain, delay = batch
        factor = rate_factor(self.spent_s / 60 / self.args.minutes, self.step)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.args.learning_rate * factor
        previous = corrupted(labels, self.network.shape.n_text, self.args.corruption)
        mel = augment(mel, gain, quiet, self.args.augmentation)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.args.bfloat16):
            parts = compiled_losses(  # type: ignore[operator]
                self.network, mel, labels, previous, phones, delay
            )
        parts[0].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP_NORM)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        decay = min(AVERAGE_DECAY, 1 - 1 / (self.step / 5 + 1))
        with torch.no_grad():
            averaged, current = list(self.average.parameters()), list(self.network.parameters())
            torch._foreach_lerp_(averaged, current, 1 - decay)
        return parts.detach()


def train(run: Run, batches: Batches) -> None:
    """Runs until the minutes are spent."""
    compiled = torch.compile(losses, dynamic=False)
    since, total, counted = time.monotonic(), torch.zeros(4), 0
    saved = since
    while run.spent_s < run.args.minutes * 60:
        total += run.update(batches.next(), compiled)
        counted += 1
        now = time.monotonic()
        run.spent_s, since = run.spent_s + now - since, now
        if run.step % REPORT_STEPS == 0:
            heard_h = run.step * run.args.rows * run.args.steps * STEP_S / 3600
            names = ("total", "text", "phone", "due")
            mean = (total / counted).tolist()
            shown = " ".join(f"{n} {v:.3f}" for n, v in zip(names, mean, strict=True))
            print(f"step {run.step} {run.spent_s / 60:.1f} min {heard_h:.1f} h {shown}", flush=True)
            total, counted = torch.zeros(4), 0
        if now - saved > SAVE_S:
            saved = now
            run.save()
    run.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--minutes", type=float, default=75.0)
    parser.add_argument("--learning-rate", type=float, default=1.5e-3)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="8x slower without AVX512")
    parser.add_argument("--corruption", type=float, default=0.45)
    parser.add_argument("--augmentation", type=float, default=1.0)
    parser.add_argument("--soups", type=Path, help="text.py's file: its soups are drawn less often")
    parser.add_argument("--soups-kept", type=float, default=1.0, help="share of their draws")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    soups = read_soups(args.soups) if args.soups else frozenset()
    speech = Speech(args.tokenizer, args.data_dir, held_out(), soups)
    speech.refresh()
    print(f"speech: {speech.hours():.1f} h, {len(speech.sounds)} other sounds", flush=True)
    train(Run(args), Batches(speech, args.rows, args.steps, args.seed, args.soups_kept))


if __name__ == "__main__":
    main()
