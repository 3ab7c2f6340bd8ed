# SPDX-License-Identifier: Apache-2.0
"""What drafting saves: greedy text with and without drafts, on the same weights, in turn.

    python tools/bench/drafts.py [--layers 6 --width 256] [--kind Q8_0] [--tokens 512] [--rounds 5]

The target has random weights of the default model's shape, in which the layers after the first add
little; the small decoder is the target's first layer, so that it guesses right for a reason and not
always. Text of random weights comes to repeat itself, which is what n-grams are for. Times are of
the processor, one thread, the least of the rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgestream.bench.random_decoder import Shape, Weights, random_weights, write_weights
from edgestream.decoder import (
    DecoderDrafter,
    Drafter,
    GgufModel,
    InterleavedLoop,
    LoopConfig,
    NgramDrafter,
    RingDecoder,
)
from edgestream.policy import WaitK

N_VOCAB, WINDOW, PROMPT = 1011, 252, [3, 141, 59, 26, 535, 89, 793, 238]
# What the first layer and the later ones add, as multiples of what random weights do. The more the
# later ones add, the more often the first layer alone guesses wrong and the less the text repeats.
TEXTS = {"repeats itself": (2.0, 0.2), "does not": (8.0, 1.0)}


def write_pair(
    folder: Path, shape: Shape, kind: str, gains: tuple[float, float]
) -> tuple[Path, Path]:
    """A target and the decoder of its first layer."""
    weights = random_weights(shape)
    for name, values in weights.items():
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            values *= gains[0] if name.startswith("blk.0.") else gains[1]
    first = replace(shape, n_layers=1)
    small: Weights = {
        name: values
        for name, values in weights.items()
        if not name.startswith("blk.") or name.startswith("blk.0.")
    }
    return (
        write_weights(folder / "target.gguf", shape, weights, kind),
        write_weights(folder / "small.gguf", first, small, kind),
    )


class Run:
    """One way to write the same text; notes the least time that it took."""

    def __init__(self, target: GgufModel, n_tokens: int, n_draft: int, drafter: Drafter | None):
        decoder = RingDecoder(target, n_sinks=4, window=WINDOW, max_rows=16)
        config = LoopConfig(max_tokens_at_end=n_tokens)
        policy = WaitK(len(PROMPT) + 1)  # all is written at the end
        self.loop = InterleavedLoop(decoder, policy, config, n_draft=n_draft, drafter=drafter)
        self.least_s = float("inf")
        self.tokens: list[int] = []

    def measure(self) -> None:
        """Writes the text once."""
        self.loop.reset()
        self.loop.push_tokens(PROMPT)
        start_s = time.thread_time()
        self.tokens = self.loop.finish()[0].tolist()
        self.least_s = min(self.least_s, time.thread_time() - start_s)


def ways(target: GgufModel, small: GgufModel, n_tokens: int) -> dict[str, Run]:
    """Plain first, then drafts by both drafters."""

    def by_decoder() -> Drafter:
        return DecoderDrafter(RingDecoder(small, n_sinks=4, window=WINDOW, max_rows=16))

    def by_ngrams() -> Drafter:
        return NgramDrafter(min_ngram=2, max_ngram=4, window=1024)

    makers: dict[str, Callable[[], Drafter]] = {"decoder": by_decoder, "n-grams": by_ngrams}
    runs = {"none": Run(target, n_tokens, 0, None)}
    for name, maker in makers.items():
        for n_draft in (3, 7):
            runs[f"{name}, {n_draft}"] = Run(target, n_tokens, n_draft, maker())
    return runs


def main() -> None:
    """Writes and times both texts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=256, help="a multiple of 256")
    parser.add_argument("--kind", default="Q8_0", choices=["F32", "F16", "Q8_0"])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    wide = args.width
    shape = Shape(args.layers, wide, 11 * wide // 4, wide // 64, wide // 128, N_VOCAB)
    for text, gains in TEXTS.items():
        with tempfile.TemporaryDirectory() as folder:
            paths = write_pair(Path(folder), shape, args.kind, gains)
            target, small = (GgufModel(str(path)) for path in paths)
        runs = ways(target, small, args.tokens)
        for _ in range(args.rounds):
            for run in runs.values():
                run.measure()
        print(f"\nText that {text}: {len(set(runs['none'].tokens))} different tokens\n")
        show(runs, args.tokens)


def show(runs: dict[str, Run], n_tokens: int) -> None:
    """Prints a table of them."""
    plain = runs["none"]
    print("| draft | ms a token | guessed right | tokens a batch | speed-up | same |")
    print("|---|---|---|---|---|---|")
    for name, run in runs.items():
        pairs = enumerate(zip(run.tokens, plain.tokens, strict=True))
        same = next((i for i, (ours, theirs) in pairs if ours != theirs), n_tokens)
        counts = run.loop.draft_counts
        right = f"{counts.verified / counts.drafted:.0%}" if counts.drafted else ""
        print(
            f"| {name} | {1000 * run.least_s / n_tokens:.3f} | {right}"
            f" | {n_tokens / counts.batches:.2f} | {plain.least_s / run.least_s:.2f} | {same} |"
        )


if __name__ == "__main__":
    main()
