# SPDX-License-Identifier: Apache-2.0
"""What the retentions of the ring keep and cost, with windows of the same length.

    python tools/bench/retention.py [--trials 100] [--minutes 5] [--rounds 9]

Prints three tables. Needles: how often the decoder of retention_needle.py still finds a value, by
how many rows ago it came. Marked values draw attention from every row, alone or with many others;
unmarked ones from none until they are asked for. Perplexity: of synthetic-en on the tokens that it
wrote itself, with its own window, over bundled speech. Cost: processor time of a step of its
decoder, blocks of steps in turn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import retention_needle as needle
from numpy.typing import NDArray

import edgestream as es
from edgestream.decoder import GgufModel, RingDecoder
from edgestream.policy import WaitK
from edgestream.scoring.clips import BUNDLED, RATE_HZ, long_stream, read_clips
from edgestream.speech.concatenated.model import Model

Rows = NDArray[np.float32]
RETENTIONS = ("window", "heavy-hitter", "merge")
DISTANCES = (16, 48, 64, 96, 128, 256, 512, 1024)
# The values, and how often a marked one comes without a key.
NEEDLES = {
    "marked": (needle.MARKED_VALUES, 0.0),
    "one of many marks": (needle.MARKED_VALUES, 1 / 8),
    "not marked": (needle.VALUES, 0.0),
}
NEEDLE_MEMORY: dict[str, Any] = {"n_sinks": 4, "window": 60, "max_rows": 8, "kv_type": "f32"}
WARM_UP_STEPS = 200  # of the perplexity: the windows are full
BLOCK_STEPS = 64  # timed at once; as many rows as several evictions


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    print("| needle | retention | " + " | ".join(str(d) for d in DISTANCES) + " |")
    print("|---" * (len(DISTANCES) + 2) + "|")
    for name, (values, mark_rate) in NEEDLES.items():
        for retention in RETENTIONS:
            found = find_needles(retention, values, mark_rate, args.trials)
            print(f"| {name} | {retention} | " + " | ".join(f"{x:.0%}" for x in found) + " |")
    model = es.load("synthetic-en")
    show_perplexity(model, args.minutes)
    show_cost(model, args.rounds)


def find_needles(
    retention: str, values: range, mark_rate: float, n_trials: int
) -> NDArray[np.float64]:
    """Share of the trials in which the value was said, by distance."""
    found = np.zeros((n_trials, len(DISTANCES)))
    for trial in range(n_trials):
        with tempfile.TemporaryDirectory() as folder:
            model = GgufModel(str(needle.write_needle(Path(folder) / "needle.gguf", trial)))
        found[trial] = find_needle(model, retention, values, mark_rate, trial)
    return found.mean(axis=0)


def find_needle(
    model: GgufModel, retention: str, values: range, mark_rate: float, seed: int
) -> list[bool]:
    """Asks for one needle at every distance; a question is taken back and leaves no trace."""
    rng = np.random.default_rng(seed)
    decoder = RingDecoder(model, retention=retention, **NEEDLE_MEMORY)
    key, value = int(rng.choice(needle.KEYS)), int(rng.choice(values))

    def rows_of(tokens: Any) -> Rows:
        return np.stack([model.token_embedding(int(t)) for t in tokens])

    def fillers(n: int) -> Rows:
        marks = rng.choice(needle.MARKED_VALUES, n)
        plain = rng.integers(0, needle.N_FILLERS, n)
        return rows_of(np.where(rng.random(n) < mark_rate, marks, plain))

    decoder.step(fillers(100))
    decoder.step(rows_of([key, value]))
    found, n_since = [], 0
    for distance in DISTANCES:
        decoder.step(fillers(distance - n_since))
        n_since = distance
        logits = decoder.propose([(0, rows_of([key]))])
        decoder.keep(0)
        found.append(int(logits[0].argmax()) == value)
    return found


def own_stream(model: Model, minutes: float) -> tuple[Rows, NDArray[np.int32]]:
    """What synthetic-en reads and writes: input rows [steps, n_embd] and tokens [steps]."""
    stages = model.stream(rate_hz=RATE_HZ).stages
    samples = np.concatenate([s for s, _ in long_stream(read_clips(BUNDLED), minutes)])
    units = stages.embeddings(samples)
    special, delay_frames = model.manifest.tokens, model.manifest.policy.delay_frames
    tokens, _, _ = model.loop(WaitK(delay_frames), delay_frames).push(units)
    delay = model.decoder.token_embedding(special.delay_0 + delay_frames)
    embeddings = np.stack([model.decoder.token_embedding(t) for t in range(special.n_text)])
    before = np.concatenate([[special.pad], tokens[:-1]])
    start = np.stack([model.decoder.token_embedding(special.bos), delay])
    return np.concatenate([start, units + embeddings[before] + delay]), tokens


def show_perplexity(model: Model, minutes: float) -> None:
    """Of all steps, and of those that wrote a token of a word."""
    rows, tokens = own_stream(model, minutes)
    n_text, wrote = model.manifest.tokens.n_text, tokens != model.manifest.tokens.pad
    print(f"\n{len(tokens)} steps, {wrote.sum()} of them with a token\n")
    print("| window | retention | perplexity | where a token was written | kB of the stream |")
    print("|---|---|---|---|---|")
    for window in (125, 64, 32, 16):
        for retention in RETENTIONS:
            ring = tiny_ring(model, window, retention)
            logits = np.stack([ring.step(row[None]) for row in rows])[2:, :n_text]
            losses = cross_entropy(logits.astype(np.float64), tokens)
            of_all, of_words = losses[WARM_UP_STEPS:], losses[WARM_UP_STEPS:][wrote[WARM_UP_STEPS:]]
            print(
                f"| {window} | {retention} | {np.exp(of_all.mean()):.4f}"
                f" | {np.exp(of_words.mean()):.3f} | {ring.state_bytes / 1000:.0f} |"
            )


def tiny_ring(model: Model, window: int, retention: str) -> RingDecoder:
    """A memory for synthetic-en's decoder, row by row as its stream comes."""
    return RingDecoder(
        model.decoder,
        n_sinks=model.manifest.decoder.n_sinks,
        window=window,
        max_rows=1,
        retention=retention,
    )


def cross_entropy(logits: NDArray[np.float64], tokens: NDArray[np.int32]) -> NDArray[np.float64]:
    """In nats, by step."""
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(tokens)), tokens]


def show_cost(model: Model, n_rounds: int) -> None:
    """The median block of each, over those of the window."""
    print("\n| window | retention | ms a step | over the window's |")
    print("|---|---|---|---|")
    row = model.decoder.token_embedding(5)[None]
    for window in (125, 252, 1020):
        rings = {name: tiny_ring(model, window, name) for name in RETENTIONS}
        for ring in rings.values():
            for _ in range(window + BLOCK_STEPS):
                ring.step(row)
        taken_s: dict[str, list[float]] = {name: [] for name in RETENTIONS}
        for _ in range(n_rounds):
            for name, ring in rings.items():
                taken_s[name].append(block_s(ring, row))
        plain = np.median(taken_s["window"])
        for name, blocks in taken_s.items():
            ms = 1000 * np.median(blocks) / BLOCK_STEPS
            print(f"| {window} | {name} | {ms:.3f} | {np.median(blocks) / plain:.2f} |")


def block_s(ring: RingDecoder, row: Rows) -> float:
    """Processor time of a block of steps."""
    start_s = time.thread_time()
    for _ in range(BLOCK_STEPS):
        ring.step(row)
    return time.thread_time() - start_s


if __name__ == "__main__":
    main()
