# SPDX-License-Identifier: Apache-2.0
"""Converts a Whisper or Moonshine checkpoint to the ONNX graphs that `listen` runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgestream.config import FORMAT, REENCODED, Manifest
from edgestream.convert.checkpoint import LICENSE, Checkpoint
from edgestream.convert.manifest import write_manifest
from edgestream.convert.moonshine import write_moonshine
from edgestream.convert.registry import Progress, Request
from edgestream.convert.verify import BOUNDS, Comparison
from edgestream.convert.whisper import write_whisper
from edgestream.errors import ModelError, UsageError
from edgestream.reencoded_model import DECODER, ENCODER, ReencodedModel
from edgestream.speech_config import CONFIG, GENERATION, RATE_HZ, TOKENIZER, read_speech_config
from edgestream.speech_weights import CODE, HOP_SAMPLES, PAYLOAD, VOICE

WRITERS = {"whisper": write_whisper, "moonshine": write_moonshine}
N_SECONDS, N_TOKENS = 3, 32  # of the input that is compared
# Types of weights, and what their files are called in public repositories.
SUFFIX = {"f32": "", "f16": "_fp16", "int8": "_quantized", "q4": "_q4"}
USUAL = "f32"
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
    quant = request.quant or USUAL
    if request.to not in (None, "onnx") or quant not in SUFFIX:
        raise UsageError(
            f"{checkpoint.model_type} is written as onnx, --quant one of {', '.join(SUFFIX)}"
        )
    tensors = {}
    for i, name in enumerate(checkpoint.shapes):
        tensors[name] = checkpoint.array(name).astype(np.float32)
        progress("reading", i + 1, len(checkpoint.shapes))
    try:
        writer = WRITERS[checkpoint.model_type]
        writer(checkpoint.config.data, tensors, folder, quant=quant)
    except LIES as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelError(f"{checkpoint.folder}: tensors and {CONFIG} do not fit ({said})") from None
    for name in (ENCODER, DECODER):
        (folder / f"{name}.onnx").rename(folder / f"{name}{SUFFIX[quant]}.onnx")
    for name in (CONFIG, GENERATION, TOKENIZER):
        if (data := checkpoint.json_file(name)) is not None:
            (folder / name).write_text(_compact(data), encoding="utf-8")
    if text := checkpoint.license_text():
        (folder / LICENSE).write_bytes(text)
    write_manifest(folder, _manifest(checkpoint, folder, request), request.entry)
    ReencodedModel(folder)  # what cannot be loaded is not delivered


def _compact(data: dict[str, Any]) -> str:
    """JSON without spaces; what it holds and its order stay."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"


def _manifest(checkpoint: Checkpoint, folder: Path, request: Request) -> Manifest:
    """Of a Whisper of many languages generation_config.json names them; others say nothing."""
    kind = f"{checkpoint.model_type}, {request.quant or USUAL}"
    return Manifest(
        format=FORMAT,
        name=request.name,
        family=REENCODED,
        description=f"{kind}, converted from {request.source}",
        languages=tuple(sorted(read_speech_config(folder).languages)),
        license=checkpoint.license(),
        files={},
    )


def compare(checkpoint: Checkpoint, folder: Path) -> Comparison:
    """The result's logits beside those of transformers, on noise."""
    import torch
    from transformers import AutoModelForSpeechSeq2Seq

    model = ReencodedModel(folder)
    config, rows = model.config, _noise(model.weights.payload)
    tokens = [config.start, *range(3, min(2 + N_TOKENS, config.n_vocab))]
    model.weights.padded = bool(config.n_mels)  # transformers' Whisper hears 30 s alone
    given = model.weights.decode(tokens, model.weights.encode(rows), {}).logits
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
    decoder = model.weights.decoder_path.stem
    quant = next(q for q, suffix in SUFFIX.items() if decoder == DECODER + suffix)
    return Comparison.of_logits(given, expected, BOUNDS[quant], None)  # text is only put together


def _noise(width: int) -> np.ndarray:
    """Rows of some seconds of a window, anybody speaking."""
    rows = np.zeros((N_SECONDS * RATE_HZ // HOP_SAMPLES, PAYLOAD + width), np.float32)
    rows[:, PAYLOAD:] = np.random.default_rng(0).normal(-1, 0.3, (len(rows), width))
    rows[:, CODE], rows[:, VOICE] = -width, 1
    return rows
