# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` says of a decoder alone, as `edgestream convert` writes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgestream.config import DECODER_FAMILY, EMBEDDINGS_FILE, FORMAT, Manifest


@dataclass(frozen=True, slots=True)
class RingSpec:
    """The decoder's file and the ring that it is used with if nothing else is asked for."""

    file: str
    n_sinks: int
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderManifest(Manifest):
    """All of the `model.toml` of a decoder alone. `tokenizer` names a GGUF file, or is empty."""

    source: str  # what it was converted from
    quantization: str
    decoder: RingSpec
    tokenizer: str
    languages: tuple[str, ...] = ()
    format: int = field(default=FORMAT)
    family: str = field(default=DECODER_FAMILY)


def decoder_rules(m: DecoderManifest) -> list[tuple[bool, str]]:
    """Ranges that later stages rely on; each line names what is wrong."""
    return [
        (0 <= m.decoder.n_sinks <= 4096, "decoder.n_sinks must be 0 to 4096"),
        (0 < m.decoder.window <= 1 << 20, "decoder.window must be 1 to 1048576"),
        (all(text.isprintable() for text in (m.source, m.quantization)),
         "source and quantization must be printable, on one line"),
        ({m.decoder.file, m.tokenizer or m.decoder.file} <= set(m.files),
         "decoder.file and tokenizer must be listed with their sha256 in [files]"),
        (not m.decoder.file.endswith(".onnx") or EMBEDDINGS_FILE in m.files,
         f"an ONNX decoder needs {EMBEDDINGS_FILE}, listed with its sha256 in [files]"),
    ]  # fmt: skip
