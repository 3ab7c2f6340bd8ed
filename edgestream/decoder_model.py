# SPDX-License-Identifier: Apache-2.0
"""A decoder alone in a model's folder, as `edgestream convert` writes it, for loops of your own."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edgestream._native import Decoder, GgufModel, RingDecoder
from edgestream.config import (
    DECODER_FAMILY,
    EMBEDDINGS_FILE,
    FORMAT,
    MANIFEST,
    SHA256,
    is_plain_name,
)
from edgestream.errors import ModelError
from edgestream.library import verify_files
from edgestream.onnx_decoder import OnnxDecoder
from edgestream.onnx_model import OnnxModel
from edgestream.tokenizer import Tokenizer
from edgestream.toml_file import read_toml


@dataclass(frozen=True, slots=True)
class RingSpec:
    """The decoder's file and the ring that it is used with if nothing else is asked for."""

    file: str
    n_sinks: int
    window: int


@dataclass(frozen=True, slots=True)
class DecoderManifest:
    """All of the `model.toml` of a decoder alone. `tokenizer` names a GGUF file, or is empty."""

    name: str
    description: str
    license: str
    source: str  # what it was converted from
    quantization: str
    decoder: RingSpec
    tokenizer: str
    files: dict[str, str]
    format: int = field(default=FORMAT)
    family: str = field(default=DECODER_FAMILY)


class DecoderModel:
    """Weights, manifest and tokenizer; immutable, may be shared between threads.

    Attributes:
        weights: for a RingDecoder or an OnnxDecoder with options of your own.
        tokenizer: None if the checkpoint had none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = m = read_decoder_manifest(folder / MANIFEST)
        verify_files(folder, m.files)
        path = folder / m.decoder.file
        self.weights: GgufModel | OnnxModel
        try:
            self.weights = OnnxModel(path) if path.suffix == ".onnx" else GgufModel(str(path))
        except (ValueError, RuntimeError) as error:
            raise ModelError(str(error)) from None
        self.tokenizer = Tokenizer(folder / m.tokenizer) if m.tokenizer else None

    def ring(self, *, n_sinks: int | None = None, window: int | None = None) -> Decoder:
        """A stream's memory; what is not given is as in model.toml."""
        spec = self.manifest.decoder
        n_sinks = spec.n_sinks if n_sinks is None else n_sinks
        window = spec.window if window is None else window
        if isinstance(self.weights, OnnxModel):
            return OnnxDecoder(self.weights, n_sinks=n_sinks, window=window)
        return RingDecoder(self.weights, n_sinks=n_sinks, window=window)


def load_decoder(folder: str | os.PathLike[str]) -> DecoderModel:
    """Loads the folder of a converted decoder.

    Raises:
        ModelError: it is no such folder, or its files are damaged or not supported.
    """
    return DecoderModel(Path(folder))


def read_decoder_manifest(path: Path) -> DecoderManifest:
    """Reads and checks a decoder's `model.toml`; raises ModelError naming the key."""
    m = read_toml(path, DecoderManifest, "a decoder is a folder that `edgestream convert` wrote")
    rules = [
        (m.format == FORMAT, f"format {m.format} (this version reads {FORMAT})"),
        (m.family == DECODER_FAMILY, f"family {m.family!r:.80} is not a decoder alone"),
        (0 <= m.decoder.n_sinks <= 4096, "decoder.n_sinks must be 0 to 4096"),
        (0 < m.decoder.window <= 1 << 20, "decoder.window must be 1 to 1048576"),
        (all(text.isprintable() for text in (m.name, m.description, m.license, m.source,
                                             m.quantization)),
         "name, description, license, source and quantization must be printable, on one line"),
        (all(is_plain_name(name) for name in m.files),
         "files must be plain names inside the model's folder"),
        (all(SHA256.fullmatch(sha256) for sha256 in m.files.values()),
         "files must have a sha256 of 64 hexadecimal digits"),
        ({m.decoder.file, m.tokenizer or m.decoder.file} <= set(m.files),
         "decoder.file and tokenizer must be listed with their sha256 in [files]"),
        (not m.decoder.file.endswith(".onnx") or EMBEDDINGS_FILE in m.files,
         f"an ONNX decoder needs {EMBEDDINGS_FILE}, listed with its sha256 in [files]"),
    ]  # fmt: skip
    for holds, message in rules:
        if not holds:
            raise ModelError(f"{path}: {message}")
    return m


def write_decoder_manifest(path: Path, manifest: DecoderManifest) -> None:
    """Writes `model.toml`; texts that come from a checkpoint lose what is not printable."""
    values = {"format": manifest.format, "family": manifest.family, **asdict(manifest)}
    lines = [f"{key} = {_toml(v)}" for key, v in values.items() if not isinstance(v, dict)]
    for name, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{_toml(key)} = {_toml(v)}" for key, v in table.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: str | int) -> str:
    """A number, or a basic string: without control characters JSON's is TOML's."""
    if isinstance(value, int):
        return str(value)
    return json.dumps("".join(char for char in value if char.isprintable()), ensure_ascii=False)
