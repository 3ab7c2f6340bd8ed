# SPDX-License-Identifier: Apache-2.0
"""Trains a policy head for a caption model by policy gradient, with the decoder in the loop.

    python tools/train_policy.py SPEECH_DIR OUT.toml [-m MODEL] [--minutes 4]

SPEECH_DIR is made by tools/train_captions/speak.py; take sentences that neither the model nor the
benchmark uses. Rollouts run the real read/write loop, because what is held back changes what the
model reads next: recorded traces would not tell what another decision had led to. REINFORCE
(Williams 1992) with a linear baseline; a decision is charged with the word errors and the waiting
of the words that end in its slot or soon after, `errors + weight * seconds`. The weight is drawn
for each rollout and is an input of the head, so that one head serves a range of trades.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from edgestream.bench_policy_run import EncodedClip, PolicyRun, WrittenWord, encode
from edgestream.bench_speech import read_clips
from edgestream.bench_words import align
from edgestream.config import DEFAULT_MODEL
from edgestream.model import Model, load
from edgestream.policy import (
    FEATURES,
    FORMAT,
    Action,
    Head,
    Observation,
    Policy,
    head_features,
    write_head,
)

Array = NDArray[np.float64]
N_HIDDEN = 8
LATENCY_WEIGHTS = (0.2, 8.0)  # errors a word for a second, drawn evenly in the logarithm
DEFAULT_WEIGHT = 1.0
BATCH_CLIPS = 12
HORIZON_SLOTS = 8  # a decision is charged with what happens up to here ...
DISCOUNT = 0.8  # ... less and less
LEARNING_RATE = 0.02
AVERAGE = 0.98  # of the weights, over batches
SEED = 17


@dataclasses.dataclass
class Perceptron:
    """The head while it is trained; inputs are normalised, [n, inputs] -> logits of WRITE [n]."""

    w1: Array
    b1: Array
    w2: Array
    b2: Array

    @classmethod
    def start(cls, n_inputs: int, rng: np.random.Generator) -> Perceptron:
        """Small random weights; writes two times of three."""
        w1 = rng.normal(size=(N_HIDDEN, n_inputs)) / math.sqrt(n_inputs)
        return cls(w1, np.zeros(N_HIDDEN), np.zeros(N_HIDDEN), np.array([0.7]))

    def parameters(self) -> list[Array]:
        """In a fixed order."""
        return [self.w1, self.b1, self.w2, self.b2]

    def logits(self, x: Array) -> Array:
        """Of WRITE."""
        return np.tanh(x @ self.w1.T + self.b1) @ self.w2 + self.b2[0]

    def gradients(self, x: Array, upstream: Array) -> list[Array]:
        """Of sum(upstream * logits), in the order of parameters()."""
        h = np.tanh(x @ self.w1.T + self.b1)
        inner = upstream[:, None] * self.w2 * (1 - h**2)
        return [inner.T @ x, inner.sum(0), h.T @ upstream, upstream.sum(keepdims=True)]


class Explorer(Policy):
    """Draws its decisions from a perceptron and keeps them; limits as of TrainedHead."""

    def __init__(self, max_hold: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.max_hold, self.rng = max_hold, rng
        self.net: Perceptron | None = None  # None: evenly, to see the range of the features
        self.mean, self.scale = np.zeros(0), np.ones(0)
        self.latency_weight = 1.0
        self.start()

    def start(self) -> None:
        """Forgets the decisions kept."""
        self.slots: list[int] = []
        self.inputs: list[Array] = []
        self.wrote: list[bool] = []

    def decide(self, seen: Observation) -> Action:
        """WRITE with the probability that the perceptron gives."""
        if seen.finished or seen.held >= self.max_hold:
            return Action.WRITE
        x = np.array([*head_features(seen).values(), math.log(self.latency_weight)])
        p = 0.5
        if self.net is not None:
            p = float(sigmoid(self.net.logits(((x - self.mean) / self.scale)[None]))[0])
        self.slots.append(seen.read - 1 - seen.held)
        self.inputs.append(x)
        self.wrote.append(bool(self.rng.random() < p))
        return Action.WRITE if self.wrote[-1] else Action.READ


def numbers(values: Array) -> tuple[float, ...]:
    """As the head keeps them: float32, row by row."""
    return tuple(float(x) for x in values.astype(np.float32).ravel())


def sigmoid(x: Array) -> Array:
    """Logistic function."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def costs(
    clip: EncodedClip,
    words: list[WrittenWord],
    latency_weight: float,
    delay_frames: int,
    step_ms: int,
) -> Array:
    """What each slot of a clip costs: word errors and weighted seconds of waiting, [slots]."""
    cost = np.zeros(len(clip.rows) + 2 * HORIZON_SLOTS)
    for i, j in align([w.text for w in clip.spoken], [w.text for w in words]):
        if j is not None:
            wrong = i is None or clip.spoken[i].text != words[j].text
            waited_s = words[j].waited * step_ms / 1000
            cost[words[j].slot] += wrong + latency_weight * waited_s
        elif i is not None and (end_ms := clip.spoken[i].end_ms) is not None:
            cost[int(end_ms / step_ms) + delay_frames] += 1  # where the word was due
    return cost


def charged(cost: Array, slots: NDArray[np.int64]) -> Array:
    """The discounted cost of the slots from each decision's own on, [decisions]."""
    factors = DISCOUNT ** np.arange(HORIZON_SLOTS)
    return np.array([cost[s : s + HORIZON_SLOTS] @ factors for s in slots])


class Trainer:
    """REINFORCE with Adam over batches of rollouts."""

    def __init__(self, model: Model, clips: list[EncodedClip], delay_frames: int, deferrals: int):
        self.step_ms, self.clips, self.delay_frames = (
            model.manifest.decoder.step_ms, clips, delay_frames
        )  # fmt: skip
        self.rng = np.random.default_rng(SEED)
        self.explorer = Explorer(deferrals, self.rng)
        self.run = PolicyRun(model, self.explorer, delay_frames, deferrals)
        x, _, _ = self.rollouts()
        self.explorer.mean, self.explorer.scale = x.mean(0), np.maximum(x.std(0), 1e-3)
        low, high = np.log(LATENCY_WEIGHTS)
        self.explorer.mean[-1], self.explorer.scale[-1] = (low + high) / 2, (high - low) / 4
        self.net = self.explorer.net = Perceptron.start(len(FEATURES) + 1, self.rng)
        self.average = [p.copy() for p in self.net.parameters()]
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.net.parameters()]
        self.n_batches = 0

    def rollouts(self) -> tuple[Array, NDArray[np.bool_], Array]:
        """Inputs, decisions and charges of BATCH_CLIPS clips."""
        inputs: list[Array] = []
        wrote: list[bool] = []
        charges: list[Array] = []
        for clip in self.rng.choice(np.array(self.clips, object), BATCH_CLIPS, replace=False):
            self.explorer.start()
            self.explorer.latency_weight = math.exp(self.rng.uniform(*np.log(LATENCY_WEIGHTS)))
            words = self.run.decode(clip)
            weight = self.explorer.latency_weight
            cost = costs(clip, words, weight, self.delay_frames, self.step_ms)
            charges.append(charged(cost, np.array(self.explorer.slots)))
            inputs += self.explorer.inputs
            wrote += self.explorer.wrote
        return np.array(inputs), np.array(wrote), np.concatenate(charges)

    def batch(self) -> float:
        """One step; returns the mean charge."""
        raw, wrote, charge = self.rollouts()
        x = (raw - self.explorer.mean) / self.explorer.scale
        basis = np.column_stack([np.ones(len(x)), x, x**2, x * x[:, -1:]])
        ridge = basis.T @ basis + np.eye(basis.shape[1])
        advantage = basis @ np.linalg.solve(ridge, basis.T @ charge) - charge
        advantage /= advantage.std() + 1e-6
        upstream = (wrote - sigmoid(self.net.logits(x))) * advantage / len(x)
        self._ascend(self.net.gradients(x, upstream))
        return float(charge.mean())

    def _ascend(self, gradients: list[Array]) -> None:
        """Adam (Kingma and Ba 2015), and the running average of the weights (Polyak)."""
        self.n_batches += 1
        for i, (parameter, gradient) in enumerate(
            zip(self.net.parameters(), gradients, strict=True)
        ):
            first, second = self.moments[i]
            first += 0.1 * (gradient - first)
            second += 0.01 * (gradient**2 - second)
            step = first / (1 - 0.9**self.n_batches)
            step = step / (np.sqrt(second / (1 - 0.99**self.n_batches)) + 1e-8)
            parameter += LEARNING_RATE * step
            keep = min(AVERAGE, 1 - 1 / self.n_batches)
            self.average[i] = keep * self.average[i] + (1 - keep) * parameter

    def head(self, description: str) -> Head:
        """The averaged weights as a head."""
        w1, b1, w2, b2 = self.average
        return Head(
            format=FORMAT,
            description=description,
            delay_frames=self.delay_frames,
            deferrals=self.explorer.max_hold,
            latency_weight=DEFAULT_WEIGHT,
            min_latency_weight=LATENCY_WEIGHTS[0],
            max_latency_weight=LATENCY_WEIGHTS[1],
            features=FEATURES,
            mean=numbers(self.explorer.mean),
            scale=numbers(self.explorer.scale),
            hidden_weights=numbers(w1),
            hidden_bias=numbers(b1),
            output_weights=numbers(w2),
            output_bias=numbers(b2)[0],
            sha256="",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("-m", "--model", default=DEFAULT_MODEL)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--limit", type=int, default=400, help="sentences to train on")
    parser.add_argument("--delay-frames", type=int, default=1)
    parser.add_argument("--deferrals", type=int, default=1)
    args = parser.parse_args()
    model = load(args.model)
    clips = read_clips(args.speech_dir)
    clips = Random(SEED).sample(clips, min(args.limit, len(clips)))
    print(f"{len(clips)} sentences of {args.speech_dir}", file=sys.stderr)
    trainer = Trainer(model, encode(model, clips), args.delay_frames, args.deferrals)
    end_s = time.monotonic() + 60 * args.minutes
    recent: list[float] = []
    while time.monotonic() < end_s:
        recent.append(trainer.batch())
        if len(recent) == 20:
            print(f"batch {trainer.n_batches}: charge {np.mean(recent):.4f}", file=sys.stderr)
            recent.clear()
    about = f"{model.manifest.name}, {trainer.n_batches * BATCH_CLIPS} rollouts"
    write_head(trainer.head(about), args.out)


if __name__ == "__main__":
    main()
