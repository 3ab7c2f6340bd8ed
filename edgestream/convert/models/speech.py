# SPDX-License-Identifier: Apache-2.0
"""Converts a Whisper or Moonshine checkpoint to the ONNX graphs that `listen` runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.onnx.moonshine import write_moonshine
from edgestream.convert.onnx.whisper import write_whisper
from edgestream.convert.request import Request
from edgestream.convert.verify.speech import SpeechComparison, compare_speech
from edgestream.errors import ModelError
from edgestream.library.manifest.manifest import FORMAT, REENCODED, Manifest
from edgestream.library.manifest.write import write_manifest
from edgestream.library.progress import Progress
from edgestream.speech.reencoded.config import CONFIG, GENERATION, TOKENIZER, read_speech_config
from edgestream.speech.reencoded.model import DECODER, ENCODER, ReencodedModel, find_onnx

WRITERS = {"whisper": write_whisper, "moonshine": write_moonshine}
# Types of weights, first the usual one, and what their files are called in public repositories.
SUFFIX = {"f32": "", "f16": "_fp16", "int8": "_quantized", "q4": "_q4"}
LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # in JSON's escapes; UTF-8 has none
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
    _, quant = request.choose({"onnx": tuple(SUFFIX)})
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
    checkpoint.copy_license(folder)
    write_manifest(folder, _manifest(checkpoint, folder, request, quant), request.entry)
    ReencodedModel(folder)  # what cannot be loaded is not delivered


def _compact(data: dict[str, Any]) -> str:
    """JSON without spaces; what it holds and its order stay."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n"
    return LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _manifest(checkpoint: Checkpoint, folder: Path, request: Request, quant: str) -> Manifest:
    """Of a Whisper of many languages generation_config.json names them; others say nothing."""
    return Manifest(
        format=FORMAT,
        name=request.name,
        family=REENCODED,
        description=f"{checkpoint.model_type}, {quant}, converted from {request.source}",
        languages=tuple(sorted(read_speech_config(folder).languages)),
        license=checkpoint.license(),
        files={},
    )


def compare(checkpoint: Checkpoint, folder: Path) -> SpeechComparison:
    """The result's words and logits beside those of transformers, on a person's speech."""
    stem = find_onnx(folder, DECODER).stem
    quant = next(q for q, suffix in SUFFIX.items() if stem == DECODER + suffix)
    return compare_speech(checkpoint, folder, quant)
