# SPDX-License-Identifier: Apache-2.0
"""Converts a decoder LM: its weights to GGUF or ONNX, its tokenizer, and a manifest."""

from __future__ import annotations

from pathlib import Path

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.gguf.decoder import check_tensors, write_vocabulary
from edgestream.convert.gguf.quantize import GGUF_QUANTS, write_quantized
from edgestream.convert.models.decoder_config import (
    ARCHITECTURES,
    DecoderConfig,
    read_decoder_config,
)
from edgestream.convert.models.llama import LlamaConfig
from edgestream.convert.onnx.decoder import write_onnx_decoder
from edgestream.convert.request import Request
from edgestream.convert.tokenizer.find import read_vocabulary
from edgestream.convert.tokenizer.vocabulary import Vocabulary
from edgestream.convert.verify.decoder import Comparison
from edgestream.convert.verify.decoder import compare as compare_logits
from edgestream.decoder.model import load_decoder
from edgestream.library.manifest.decoder import DecoderManifest
from edgestream.library.manifest.ring import RingSpec
from edgestream.library.manifest.write import write_manifest
from edgestream.library.progress import Progress

GGUF, ONNX, VOCABULARY = "decoder.gguf", "decoder.onnx", "tokenizer.gguf"
QUANTS = {**GGUF_QUANTS, "onnx": ("q4", "f32")}
N_SINKS, MAX_WINDOW = 4, 4096


def write(checkpoint: Checkpoint, folder: Path, request: Request, progress: Progress) -> None:
    """Writes the model's folder.

    Raises:
        ModelError: the checkpoint is damaged or not supported.
        UsageError: there is no such quantization of the format.
    """
    to, quant = request.choose(QUANTS)
    config = read_decoder_config(checkpoint.config, ARCHITECTURES[checkpoint.model_type])
    check_tensors(checkpoint, config)
    vocabulary = read_vocabulary(checkpoint, config.n_vocab)
    if to == "gguf":
        write_quantized(
            folder / GGUF, checkpoint, config, vocabulary, quant, request.n_threads, progress
        )
    else:
        _write_onnx(checkpoint, config, vocabulary, folder, quant, progress)
    checkpoint.copy_license(folder)
    file, tokenizer = (GGUF, GGUF) if to == "gguf" else (ONNX, VOCABULARY)
    n_sinks = min(N_SINKS, config.n_rows - 1)
    manifest = DecoderManifest(
        name=request.name,
        description=f"{checkpoint.model_type} decoder, {config.n_layers} layers of {config.n_embd}",
        license=checkpoint.license(),
        source=request.source,
        quantization=quant,
        decoder=RingSpec(
            file=file,
            n_sinks=n_sinks,
            window=min(config.n_rows, MAX_WINDOW) - n_sinks,
        ),
        tokenizer=tokenizer if vocabulary else "",
        files={},
    )
    write_manifest(folder, manifest)
    load_decoder(folder)  # what cannot be loaded is not delivered


def compare(checkpoint: Checkpoint, folder: Path) -> Comparison:
    """The result's logits beside those of transformers."""
    result = load_decoder(folder)
    quant = result.manifest.quantization
    return compare_logits(checkpoint.folder, checkpoint.config, result, quant)


def _write_onnx(
    checkpoint: Checkpoint,
    config: DecoderConfig,
    vocabulary: Vocabulary | None,
    folder: Path,
    quant: str,
    progress: Progress,
) -> None:
    """The decoder in layout B, its embeddings, and a file with the tokenizer."""
    llama = LlamaConfig(config, tuple(vocabulary.tokens) if vocabulary else ())
    weights, names = {}, [name for name, _, _ in config.shapes()]
    for i, name in enumerate(names):
        weights[name] = checkpoint.array(name)
        progress("reading", i + 1, len(names))
    write_onnx_decoder(folder, weights, llama, layout="B", four_bit=quant == "q4")
    if vocabulary:
        write_vocabulary(folder / VOCABULARY, config.architecture.gguf, vocabulary)
