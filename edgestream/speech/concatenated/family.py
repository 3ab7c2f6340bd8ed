# SPDX-License-Identifier: Apache-2.0
"""The family of streaming encoders whose rows enter a decoder: Kyutai, Voxtral, synthetic-en."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.library.families import SOUND, Family
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.concatenated import ConcatenatedManifest, concatenated_rules
from edgestream.library.manifest.manifest import CONCATENATED
from edgestream.library.needs import Demand, Needs, Speed, ring_needs, step_demand


def open_model(folder: Path, decoder_device: str | None) -> Any:
    """A Model."""
    from edgestream.speech.concatenated.model import Model

    return Model(folder, decoder_device=decoder_device)


def needs(m: ConcatenatedManifest, sizes: dict[str, int], shape: DecoderShape | None) -> Needs:
    """The encoder's graph and the ring behind it."""
    return ring_needs(m.decoder, sizes, shape, m.encoder.file)


def demand(m: ConcatenatedManifest, _: dict[str, int], needs: Needs, speed: Speed) -> Demand:
    """A step of the decoder."""
    return step_demand(needs, speed, m.decoder.step_ms)


FAMILIES = [
    Family(
        CONCATENATED, ConcatenatedManifest, concatenated_rules, SOUND, open_model,
        needs=needs, demand=demand,
    )
]  # fmt: skip
