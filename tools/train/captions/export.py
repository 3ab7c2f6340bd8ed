# SPDX-License-Identifier: Apache-2.0
"""Turns a checkpoint into a model directory that edgestream loads.

python export.py CHECKPOINT TOKENIZER OUT_DIR [--delay-frames 6] [--pad-bias 0.5]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import shape as sizes
from gguf_decoder import write_decoder
from network import load_network
from onnx_encoder import write_encoder
from shape import Shape

DESCRIPTION = "English captions, 5.9M parameters, trained on synthetic speech only"
MAX_DELAY_FRAMES = 8  # the longest delay seen in training

MANIFEST = """\
format = 1
name = "synthetic-en"
family = "concatenated"
description = "{description}"
languages = ["en"]
license = "Apache-2.0"

[audio]
sample_rate_hz = {audio.SAMPLE_RATE_HZ}
window_samples = {audio.WINDOW_SAMPLES}
hop_samples = {audio.HOP_SAMPLES}
fft_size = {audio.FFT_SIZE}
n_mels = {shape.n_mels}
min_hz = {audio.MEL_MIN_HZ}
max_hz = {audio.MEL_MAX_HZ}
log_floor = {audio.LOG_FLOOR}

[encoder]
file = "encoder.onnx"
chunk_frames = {audio.MEL_PER_STEP}
left_frames = 0
right_frames = 0

[decoder]
file = "decoder.gguf"
n_sinks = {shape.n_sinks}
window = {shape.window}
step_ms = {step_ms}

[tokens]
pad = {audio.PAD}
bos = {shape.bos}
delay_0 = {shape.delay_0}
n_text = {shape.n_text}

[policy]
delay_frames = {delay_frames}
min_delay_frames = 1
max_delay_frames = {max_delay_frames}
pad_bias = {pad_bias}

[files]
{files}
"""


def write_manifest(folder: Path, shape: Shape, delay_frames: int, pad_bias: float) -> None:
    """Writes `model.toml` with the sha256 of each file in `folder`."""
    names = ["encoder.onnx", "decoder.gguf", "tokenizer.json"]
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    text = MANIFEST.format(
        description=DESCRIPTION,
        audio=sizes,
        shape=shape,
        step_ms=round(sizes.STEP_S * 1000),
        delay_frames=delay_frames,
        max_delay_frames=MAX_DELAY_FRAMES,
        pad_bias=pad_bias,
        files="\n".join(f'"{name}" = "{digest}"' for name, digest in digests.items()),
    )
    (folder / "model.toml").write_text(text, encoding="utf-8")


def token_texts(tokenizer: Path) -> list[str]:
    """The texts of a `tokenizers` file's tokens in the order of their numbers."""
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    return sorted(vocabulary, key=vocabulary.__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--delay-frames", type=int, default=6)
    parser.add_argument("--pad-bias", type=float, default=0.5)
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    network = load_network(args.checkpoint)
    write_encoder(network.encoder, args.out_dir / "encoder.onnx")
    write_decoder(network.decoder, token_texts(args.tokenizer), args.out_dir / "decoder.gguf")
    shutil.copyfile(args.tokenizer, args.out_dir / "tokenizer.json")
    write_manifest(args.out_dir, network.shape, args.delay_frames, args.pad_bias)
    for path in sorted(args.out_dir.iterdir()):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
