# SPDX-License-Identifier: Apache-2.0
"""What `model.toml` says of a decoder alone, as `edgestream convert` writes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgestream.library.manifest.manifest import DECODER_FAMILY, FORMAT, Manifest
from edgestream.library.manifest.ring import RingSpec, ring_rules


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
        *ring_rules(m.decoder, m.files),
        (all(text.isprintable() for text in (m.source, m.quantization)),
         "source and quantization must be printable, on one line"),
        (not m.tokenizer or m.tokenizer in m.files,
         "tokenizer must be listed with its sha256 in [files]"),
    ]  # fmt: skip
