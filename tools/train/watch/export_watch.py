# SPDX-License-Identifier: Apache-2.0
"""Writes a model directory: python export_watch.py CHECKPOINT OUT_DIR [--silence-bias B]"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from camera import SEEN_HEIGHT, SEEN_WIDTH
from row_decoder import write_decoder
from script import PICTURE_MS
from torch import Tensor, nn
from vocabulary import BOS, END, SILENCE, WORDS
from watcher import Commentator, PictureEncoder, load_watcher

OPSET = 18
TOLERANCE = 1e-4
STATES = ("last", "background", "any")
MAX_TOKENS = 12  # of a comment; the longest sentence has nine and its end
MANIFEST = """\
format = 1
name = "tiny-watch"
family = "commentator"
description = "Comments on what moves, {millions:.1f}M parameters, trained on drawn video only"
languages = ["en"]
license = "Apache-2.0"

[pictures]
width = {width}
height = {height}
picture_ms = {picture_ms:.0f}

[gate]
tile_px = 8
min_difference = 0.02
max_cosine = 0.98
linger_ms = 2000

[encoder]
file = "encoder.onnx"

[decoder]
file = "decoder.gguf"
n_sinks = {shape.n_sinks}
window = {shape.window}

[tokens]
silence = {silence}
end = {end}
bos = {bos}
n_text = {shape.n_text}

[policy]
silence_bias = {silence_bias}
max_tokens = {max_tokens}

[files]
{files}
"""


class Streaming(nn.Module):
    """One picture in, one embedding out, state carried."""

    def __init__(self, encoder: PictureEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, picture: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        embedding, after = self.encoder(picture[:, None], *states)
        return (embedding, *after)


def write_encoder(encoder: PictureEncoder, path: Path) -> None:
    """Exports for picture [1, h, w, 3]; raises if the graph differs over a stream of pictures."""
    names = [f"state.{i}" for i in range(len(STATES))]
    picture = torch.zeros(1, SEEN_HEIGHT, SEEN_WIDTH, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces that it will be replaced
        torch.onnx.export(
            Streaming(encoder).eval(),
            (picture, *encoder.start(1)),
            str(path),
            input_names=["picture", *names],
            output_names=["embeddings", *(f"{name}.out" for name in names)],
            opset_version=OPSET,
            dynamo=False,
        )
    worst = _worst_difference(encoder, path)
    if not worst <= TOLERANCE:
        raise RuntimeError(f"{path}: differs from PyTorch by {worst:.2e}, at most {TOLERANCE:.0e}")
    print(f"{path}: within {worst:.1e} of PyTorch over a stream")


def _worst_difference(encoder: PictureEncoder, path: Path) -> float:
    pictures = torch.rand(1, 20, SEEN_HEIGHT, SEEN_WIDTH, 3, generator=torch.manual_seed(0))
    with torch.no_grad():
        wanted = encoder(pictures, *encoder.start(1))[0].numpy()
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    states = [s.numpy() for s in encoder.start(1)]
    parts = []
    for turn in range(pictures.shape[1]):
        feed = {f"state.{i}": s for i, s in enumerate(states)}
        embedding, *states = session.run(None, {"picture": pictures[:, turn].numpy(), **feed})
        parts.append(embedding)
    return float(np.abs(np.concatenate(parts, 1) - wanted).max())


def write_manifest(folder: Path, network: Commentator, silence_bias: float) -> None:
    """Writes `model.toml` with the sha256 of the files."""
    names = ("encoder.onnx", "decoder.gguf")
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    trained_only = sum(p.numel() for p in network.truths.parameters())
    n_parameters = sum(p.numel() for p in network.parameters()) - trained_only
    text = MANIFEST.format(
        millions=n_parameters / 1e6,
        width=SEEN_WIDTH,
        height=SEEN_HEIGHT,
        picture_ms=PICTURE_MS,
        shape=network.shape,
        silence=SILENCE,
        end=END,
        bos=BOS,
        silence_bias=silence_bias,
        max_tokens=MAX_TOKENS,
        files="\n".join(f'"{name}" = "{digest}"' for name, digest in digests.items()),
    )
    (folder / "model.toml").write_text(text, encoding="utf-8")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("checkpoint", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--silence-bias", type=float, default=0.0, help="chosen on dev scenes")
    args = options.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    network = load_watcher(args.checkpoint)
    write_encoder(network.encoder, args.out / "encoder.onnx")
    write_decoder(network, "edgestream tiny-watch", WORDS, args.out / "decoder.gguf")
    write_manifest(args.out, network, args.silence_bias)
    for path in sorted(args.out.iterdir()):
        print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
