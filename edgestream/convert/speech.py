# SPDX-License-Identifier: Apache-2.0
"""Converts a Whisper or Moonshine checkpoint to the ONNX graphs that `listen` runs, in float32."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from edgestream.config import FORMAT, REENCODED, Manifest
from edgestream.convert.checkpoint import LICENSE, Checkpoint
from edgestream.convert.manifest import write_manifest
from edgestream.convert.moonshine import write_moonshine
from edgestream.convert.registry import Progress, Request
from edgestream.convert.whisper import write_whisper
from edgestream.encoder_decoder import CODE, HOP_SAMPLES, PAYLOAD, VOICE
from edgestream.errors import ModelError, UsageError
from edgestream.reencoded_model import ReencodedModel
from edgestream.speech_config import CONFIG, GENERATION, RATE_HZ, TOKENIZER, read_speech_config

WRITERS = {"whisper": write_whisper, "moonshine": write_moonshine}
N_SECONDS, N_TOKENS = 3, 8  # of the input that is compared
BOUND = 1e-3  # of the largest difference, as a share of the logits' spread
# What a checkpoint that lies about itself makes of shapes and counts.
LIES = (
    KeyError, TypeError, ValueError, IndexError, StopIteration, OverflowError, ZeroDivisionError,
    AttributeError, onnx.checker.ValidationError,
)  # fmt: skip


def write(checkpoint: Checkpoint, folder: Path, request: Request, progress: Progress) -> None:
    """Writes the model's folder: the graphs and the checkpoint's own JSON files.

    Raises:
        ModelError: the checkpoint is damaged or not supported.
        UsageError: another format or quantization is asked for.
    """
    if request.to not in (None, "onnx") or request.quant not in (None, "f32"):
        raise UsageError(f"{checkpoint.model_type} is written as float32 ONNX: leave --quant out")
    tensors = {}
    for i, name in enumerate(checkpoint.shapes):
        tensors[name] = checkpoint.array(name).astype(np.float32)
        progress("reading", i + 1, len(checkpoint.shapes))
    try:
        WRITERS[checkpoint.model_type](checkpoint.config.data, tensors, folder)
    except LIES as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"{checkpoint.folder}: tensors and {CONFIG} do not fit ({said})") from None
    for name in (CONFIG, GENERATION, TOKENIZER):
        if checkpoint.has(name):
            (folder / name).write_bytes(checkpoint.file(name).read_bytes())
    if text := checkpoint.license_text():
        (folder / LICENSE).write_bytes(text)
    write_manifest(folder, _manifest(checkpoint, folder, request), request.entry)
    ReencodedModel(folder)  # what cannot be loaded is not delivered


def _manifest(checkpoint: Checkpoint, folder: Path, request: Request) -> Manifest:
    """Of a Whisper of many languages generation_config.json names them; others say nothing."""
    return Manifest(
        format=FORMAT,
        name=request.name,
        family=REENCODED,
        description=f"{checkpoint.model_type}, float32, converted from {request.source}",
        languages=tuple(sorted(read_speech_config(folder).languages)),
        license=checkpoint.license(),
        files={},
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the logits after each of some tokens, on the same sound."""

    max_abs: float
    relative: float  # the same over the logits' standard deviation
    same_argmax: float  # share of positions

    @property
    def holds(self) -> bool:
        """Whether the result is the source, up to rounding."""
        return self.relative <= BOUND

    def __str__(self) -> str:
        return (
            f"max|dlogit| {self.max_abs:.3g}, {self.relative:.2g} of the logits' spread (bound"
            f" {BOUND:g}), same argmax {self.same_argmax:.1%} of {N_TOKENS}"
        )


def compare(checkpoint: Checkpoint, folder: Path) -> Difference:
    """The result's logits beside those of transformers, on noise."""
    import torch
    from transformers import AutoModelForSpeechSeq2Seq

    model = ReencodedModel(folder)
    config, rows = model.config, _noise(model.weights.payload)
    tokens = [config.start, *range(3, 2 + N_TOKENS)]
    model.weights.padded = bool(config.n_mels)  # transformers' Whisper hears 30 s alone
    given, _ = model.weights.decode(tokens, model.weights.encode(rows), {})
    heard = model.weights.heard(rows)
    try:
        source = AutoModelForSpeechSeq2Seq.from_pretrained(
            checkpoint.folder, dtype=torch.float32, local_files_only=True, use_safetensors=True,
            trust_remote_code=False,
        )  # fmt: skip
    except Exception as error:  # transformers raises whatever it meets
        raise ModelError(
            f"{checkpoint.folder}: transformers cannot load it: {error}"[:300]
        ) from None
    with torch.no_grad():
        expected = source.eval()(
            torch.from_numpy(heard), decoder_input_ids=torch.tensor([tokens])
        ).logits[0].numpy()  # fmt: skip
    off = float(np.abs(given - expected).max())
    same = float((given.argmax(-1) == expected.argmax(-1)).mean())
    return Difference(off, off / float(expected.std()), same)


def _noise(width: int) -> np.ndarray:
    """Rows of some seconds of a window, anybody speaking."""
    rows = np.zeros((N_SECONDS * RATE_HZ // HOP_SAMPLES, PAYLOAD + width), np.float32)
    rows[:, PAYLOAD:] = np.random.default_rng(0).normal(-1, 0.3, (len(rows), width))
    rows[:, CODE], rows[:, VOICE] = -width, 1
    return rows
