# SPDX-License-Identifier: Apache-2.0
"""Time of one token through ONNX decoders and GGUF rings of the same weights, side by side.

    python tools/bench/onnx_decoder.py decoder.gguf b/decoder.onnx c/decoder.onnx --kept 256 1024

One thread each; every round steps all of them once, so that a busy machine hits all alike. Prints
the median processor time of a step in ms, and how many times the first file's that is.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from edgestream.decoder import Decoder, GgufModel, RingDecoder
from edgestream.onnx.decoder import OnnxDecoder
from edgestream.onnx.weights import OnnxModel

N_SINKS = 4


def open_decoder(path: Path, kept: int) -> tuple[str, Decoder]:
    """A decoder of one file with a name for the table; float32 keys in both."""
    if path.suffix == ".gguf":
        ring = RingDecoder(
            GgufModel(str(path)), n_sinks=N_SINKS, window=kept - N_SINKS, max_rows=1, kv_type="f32"
        )
        return "GGUF ring", ring
    model = OnnxModel(path)
    decoder = OnnxDecoder(model, n_sinks=N_SINKS, window=kept - N_SINKS, max_rows=1)
    return f"ONNX {model.layout}", decoder


def medians_ms(decoders: list[Decoder], rows: np.ndarray, rounds: int) -> list[float]:
    """Of a step when the ring is full, by decoder."""
    for decoder in decoders:
        decoder.step(rows)
    times_ms: list[list[float]] = [[] for _ in decoders]
    for i in range(rounds):
        row = rows[i % len(rows)][None]
        for decoder, times in zip(decoders, times_ms, strict=True):
            start = time.thread_time_ns()
            decoder.step(row)
            times.append((time.thread_time_ns() - start) / 1e6)
    return [statistics.median(times) for times in times_ms]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--kept", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    for at, kept in enumerate(args.kept):
        names, decoders = zip(*(open_decoder(path, kept) for path in args.files), strict=True)
        tokens = np.random.default_rng(0).integers(0, decoders[0].n_vocab, kept)
        rows = np.stack([decoders[0].token_embedding(int(token)) for token in tokens])
        if at == 0:
            print(f"| rows kept | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
        medians = medians_ms(list(decoders), rows, args.rounds)
        cells = [f"{ms:.2f} ({ms / medians[0]:.2f})" for ms in medians]
        print(f"| {kept} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
