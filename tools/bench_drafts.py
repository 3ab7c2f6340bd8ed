# SPDX-License-Identifier: Apache-2.0
"""What drafting saves: greedy text with and without drafts, on the same weights, in turn.

    python tools/bench_drafts.py [--layers 6 --width 256] [--kind Q8_0] [--tokens 512] [--rounds 5]

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
from pathlib import Path

from edgestream.bench_decoder_files import Shape, Weights, random_weights, write_weights
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
# Of what layers add: the first more than the token itself, or the text would be one token; the
# later ones less, or the first alone would never guess right.
FIRST_LAYER_GAIN, LATER_LAYERS_GAIN = 8.0, 1.0


def write_pair(folder: Path, n_layers: int, n_embd: int, kind: str) -> tuple[Path, Path]:
    """A target and the decoder of its first layer."""
    shape = Shape(n_layers, n_embd, 11 * n_embd // 4, n_embd // 64, n_embd // 128, N_VOCAB)
    weights = random_weights(shape)
    for name, values in weights.items():
        if name.endswith(("attn_output.weight", "ffn_down.weight")):
            values *= FIRST_LAYER_GAIN if name.startswith("blk.0.") else LATER_LAYERS_GAIN
    first = Shape(1, n_embd, shape.n_ff, shape.n_heads, shape.n_kv_heads, N_VOCAB)
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
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=256, help="a multiple of 256")
    parser.add_argument("--kind", default="Q8_0", choices=["F32", "F16", "Q8_0"])
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target, small = (
            GgufModel(str(p)) for p in write_pair(Path(folder), args.layers, args.width, args.kind)
        )
        runs = ways(target, small, args.tokens)
    for _ in range(args.rounds):
        for run in runs.values():
            run.measure()
    plain = runs["none"]
    print(
        "| draft | ms a token | guessed right | tokens a batch | speed-up |\n|---|---|---|---|---|"
    )
    for name, run in runs.items():
        pairs = enumerate(zip(run.tokens, plain.tokens, strict=True))
        same = next((i for i, (ours, theirs) in pairs if ours != theirs), args.tokens)
        counts = run.loop.draft_counts
        right = f"{counts.verified / counts.drafted:.0%}" if counts.drafted else ""
        print(
            f"| {name} | {1000 * run.least_s / args.tokens:.3f} | {right}"
            f" | {args.tokens / counts.batches:.2f} | {plain.least_s / run.least_s:.2f} | {same} |"
        )


if __name__ == "__main__":
    main()
