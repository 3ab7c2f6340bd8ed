# SPDX-License-Identifier: Apache-2.0
"""Writes a model of tracks: python export_tracks.py CHECKPOINT OUT_DIR"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from row_decoder import write_decoder
from track_network import TrackEncoder, load_teller
from track_words import WORDS

OPSET = 18
TOLERANCE = 1e-4
ENCODER, DECODER = "encoder.onnx", "decoder.gguf"


def write_encoder(encoder: TrackEncoder, n_numbers: int, path: Path) -> None:
    """Exports for rows [n, n_numbers]; raises if the graph differs from the network."""
    rows = torch.randn(7, n_numbers, generator=torch.manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces that it will be replaced
        torch.onnx.export(
            encoder.eval(), (rows,), str(path), input_names=["numbers"],
            output_names=["embeddings"], dynamic_axes={"numbers": {0: "n"}, "embeddings": {0: "n"}},
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        wanted = encoder(rows).numpy()
    worst = float(np.abs(session.run(None, {"numbers": rows.numpy()})[0] - wanted).max())
    if not worst <= TOLERANCE:
        raise RuntimeError(f"{path}: differs from PyTorch by {worst:.2e}, at most {TOLERANCE:.0e}")
    print(f"{path}: within {worst:.1e} of PyTorch")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("checkpoint", type=Path)
    options.add_argument("out", type=Path)
    args = options.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    network = load_teller(args.checkpoint)
    write_encoder(network.encoder, network.shape.n_numbers, args.out / ENCODER)
    write_decoder(network, "edgestream tracks", WORDS, args.out / DECODER)
    for path in sorted(args.out.iterdir()):
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
