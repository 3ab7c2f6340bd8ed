# SPDX-License-Identifier: Apache-2.0
"""The family of decoders alone, as `edgestream convert` writes them for loops of your own."""

from __future__ import annotations

from edgestream.library.families import Family
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.decoder import DecoderManifest, decoder_rules
from edgestream.library.manifest.manifest import DECODER_FAMILY
from edgestream.library.needs import Needs, ring_needs


def needs(m: DecoderManifest, sizes: dict[str, int], shape: DecoderShape | None) -> Needs:
    """The ring."""
    return ring_needs(m.decoder, sizes, shape)


FAMILIES = [
    Family(
        DECODER_FAMILY, DecoderManifest, decoder_rules, needs=needs,
        alone="only a decoder, the part that writes; it cannot hear (docs/convert.md)",
    )
]  # fmt: skip
