# SPDX-License-Identifier: Apache-2.0
"""Trains a policy head for a caption model by policy gradient on traces of its decoder.

    python tools/train/policy/train_policy.py SPEECH_DIR OUT.toml [-m MODEL] [--limit 320]

SPEECH_DIR is made by tools/train/captions/speak.py; take sentences that neither the model nor the
benchmark uses. For every sentence the real read/write loop runs with all slots deferred once, and
again for each slot in which the quick run proposed something else, with that slot alone written at
once: what is written changes what the model reads next, so a trace of one run could not tell what
the other decision leads to. That gives, slot by slot, the word errors and the waiting that WRITE
adds or saves. A head is then trained to choose for `errors + weight * seconds`, whose gradient
sums over both actions (the policy gradient of Sutton et al. 2000; summed as by Allen et al. 2017,
"Mean Actor Critic"), with a bonus for entropy (Williams and Peng 1991) against deciding too soon.
The weight is drawn anew for each slot and step and is an input of the head, so that one head serves
a range of trades.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray

from edgestream.bench.policy.run import EncodedClip, PolicyRun, WrittenWord, encode
from edgestream.library.manifest.manifest import SYNTHETIC_MODEL
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
from edgestream.scoring.clips import read_clips
from edgestream.scoring.words import Score
from edgestream.speech.concatenated.model import Model, load

Array = NDArray[np.float64]
DEFERRALS = 1
N_HIDDEN = 8
LATENCY_WEIGHTS = (0.1, 10.0)  # errors a word for a second, drawn evenly in the logarithm
DEFAULT_WEIGHT = 1.0
N_STEPS = 1500
LEARNING_RATE = 0.005
ENTROPY_BONUS = 0.01
SEED = 17


class Script(Policy):
    """Defers every slot but those of `write_at`, and keeps what it was shown of each."""

    def __init__(self) -> None:
        super().__init__()
        self.start([])

    def start(self, write_at: Iterable[int]) -> None:
        """Before a clip."""
        self.write_at = set(write_at)
        self.features: dict[int, list[float]] = {}
        self.proposes: dict[int, bool] = {}  # whether the quick run proposed a token
        self.agreed: dict[int, bool] = {}  # of slots in which the slower run proposed one too

    def decide(self, seen: Observation) -> Action:
        """By the script."""
        slot = seen.read - 1 - seen.held
        if seen.held == 0:
            self.features[slot] = list(head_features(seen).values())
            self.proposes[slot] = seen.probability > seen.silence
            return Action.WRITE if slot in self.write_at else Action.READ
        self.agreed[slot] = seen.agreed > 0
        return Action.WRITE

    def disputed(self) -> list[int]:
        """Slots for which the two runs proposed different things."""
        return [s for s, token in self.proposes.items() if not self.agreed.get(s, not token)]


@dataclass
class Traces:
    """What WRITE does in each slot, beside deferring it."""

    features: list[list[float]] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)  # word errors added
    saved_steps: list[int] = field(default_factory=list)  # of waiting, summed over words
    n_disputed: int = 0

    def add(self, run: PolicyRun, script: Script, clip: EncodedClip) -> None:
        """Takes one clip."""
        script.start([])
        words = run.decode(clip)
        n_errors = errors(clip, words)
        features, disputed = script.features, script.disputed()
        written = {slot: (n_errors, sum(w.slot == slot for w in words)) for slot in features}
        for slot in disputed:
            script.start([slot])
            other = run.decode(clip)
            written[slot] = errors(clip, other), sum(w.waited == 0 for w in other)
        for slot, (with_write, saved_steps) in written.items():
            self.features.append(features[slot])
            self.errors.append(with_write - n_errors)
            self.saved_steps.append(saved_steps)
        self.n_disputed += len(disputed)


def errors(clip: EncodedClip, words: list[WrittenWord]) -> int:
    """Word errors of a clip."""
    score = Score()
    score.add([w.text for w in clip.spoken], [w.text for w in words])
    return score.errors


@dataclass
class Perceptron:
    """The head while it is trained; inputs are normalised, [n, inputs] -> logits of WRITE [n]."""

    w1: Array
    b1: Array
    w2: Array
    b2: Array

    @classmethod
    def start(cls, n_inputs: int, rng: np.random.Generator) -> Perceptron:
        """A soft threshold on the confidence that falls as latency weighs more, to set out from."""
        w1 = 0.3 * rng.normal(size=(N_HIDDEN, n_inputs)) / math.sqrt(n_inputs)
        w2 = 0.1 * rng.normal(size=N_HIDDEN)
        w1[0] = 0.0
        w1[0, FEATURES.index("log_odds")] = w1[0, -1] = 0.5
        w2[0] = 2.0
        return cls(w1, np.zeros(N_HIDDEN), w2, np.zeros(1))

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


class Trainer:
    """Ascends the expected reward of the slots that count, with Adam (Kingma and Ba 2015)."""

    def __init__(self, traces: Traces, step_s: float) -> None:
        self.rng = np.random.default_rng(SEED)
        added, saved_steps = np.array(traces.errors, float), np.array(traces.saved_steps)
        counts = (added != 0) | (saved_steps != 0)  # elsewhere both actions are the same
        x = np.array(traces.features)[counts]
        self.errors, self.saved_s = added[counts], step_s * saved_steps[counts]
        self.log_range = np.log(LATENCY_WEIGHTS)
        low, high = self.log_range
        self.mean = np.append(x.mean(0), (low + high) / 2)
        self.scale = np.append(np.maximum(x.std(0), 1e-3), (high - low) / 4)
        self.x = (x - self.mean[:-1]) / self.scale[:-1]
        self.net = Perceptron.start(len(self.mean), self.rng)
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in self.net.parameters()]

    def step(self, n: int) -> float:
        """The n-th step, from 1; returns the expected reward of a slot before it."""
        log_weight = self.rng.uniform(*self.log_range, len(self.x))
        normalised = (log_weight - self.mean[-1]) / self.scale[-1]
        x = np.column_stack([self.x, normalised])
        reward = np.exp(log_weight) * self.saved_s - self.errors  # of WRITE; READ has none
        reward /= np.sqrt(np.exp(log_weight))  # large weights shall not outvote small ones
        logits = self.net.logits(x)
        p = 0.5 * (1 + np.tanh(0.5 * logits))
        upstream = p * (1 - p) * (reward - ENTROPY_BONUS * logits) / len(x)
        self._ascend(self.net.gradients(x, upstream), n)
        return float((p * reward).mean())

    def _ascend(self, gradients: list[Array], n: int) -> None:
        rate = LEARNING_RATE * (1 - (n - 1) / N_STEPS)
        for parameter, gradient, (first, second) in zip(
            self.net.parameters(), gradients, self.moments, strict=True
        ):
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            unbiased = np.sqrt(second / (1 - 0.999**n)) + 1e-8
            parameter += rate * first / (1 - 0.9**n) / unbiased

    def head(self, description: str, delay_frames: int) -> Head:
        """The weights as a head."""
        w1, b1, w2, b2 = self.net.parameters()
        return Head(
            format=FORMAT,
            description=description,
            delay_frames=delay_frames,
            deferrals=DEFERRALS,
            latency_weight=DEFAULT_WEIGHT,
            min_latency_weight=LATENCY_WEIGHTS[0],
            max_latency_weight=LATENCY_WEIGHTS[1],
            features=FEATURES,
            mean=float32(self.mean),
            scale=float32(self.scale),
            hidden_weights=float32(w1),
            hidden_bias=float32(b1),
            output_weights=float32(w2),
            output_bias=float32(b2)[0],
            sha256="",
        )


def float32(values: Array) -> tuple[float, ...]:
    """As a head keeps them, row by row."""
    return tuple(float(x) for x in values.astype(np.float32).ravel())


def record(model: Model, clips: list[EncodedClip], delay_frames: int) -> Traces:
    """Traces of all clips."""
    script, traces = Script(), Traces()
    run = PolicyRun(model, script, delay_frames, DEFERRALS)
    for i, clip in enumerate(clips, 1):
        traces.add(run, script, clip)
        if i % 20 == 0:
            print(f"{i} sentences, {traces.n_disputed} disputed slots", file=sys.stderr)
    return traces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("speech_dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("-m", "--model", default=SYNTHETIC_MODEL)
    parser.add_argument("--limit", type=int, default=320, help="sentences to train on")
    parser.add_argument("--delay-frames", type=int, default=1, help="delay of the quick run")
    args = parser.parse_args()
    model = load(args.model)
    clips = read_clips(args.speech_dir)
    clips = Random(SEED).sample(clips, min(args.limit, len(clips)))
    traces = record(model, encode(model, clips), args.delay_frames)
    trainer = Trainer(traces, model.manifest.decoder.step_ms / 1000)
    for n in range(1, N_STEPS + 1):
        reward = trainer.step(n)
        if n % 500 == 0:
            print(f"step {n}: expected reward of a slot {reward:.5f}", file=sys.stderr)
    about = f"{model.manifest.name}, {len(clips)} sentences, {len(traces.errors)} slots"
    write_head(trainer.head(about, args.delay_frames), args.out)


if __name__ == "__main__":
    main()
