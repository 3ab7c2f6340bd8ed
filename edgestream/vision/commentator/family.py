# SPDX-License-Identifier: Apache-2.0
"""The family of small models that see pictures and tell of them, such as tiny-watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.library.families import PICTURES, Family
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.commentator import CommentatorManifest, commentator_rules
from edgestream.library.manifest.manifest import COMMENTATOR
from edgestream.library.needs import (
    PICTURES_BYTES,
    Demand,
    Needs,
    Speed,
    ring_needs,
    step_demand,
)


def open_model(folder: Path, decoder_device: str | None) -> Any:
    """A CommentatorModel."""
    from edgestream.vision.commentator.model import CommentatorModel

    return CommentatorModel(folder, decoder_device=decoder_device)


def needs(m: CommentatorManifest, sizes: dict[str, int], shape: DecoderShape | None) -> Needs:
    """The encoder's graph, the ring behind it, and pictures."""
    return ring_needs(m.decoder, sizes, shape, m.encoder.file, seen_bytes=PICTURES_BYTES)


def demand(m: CommentatorManifest, _: dict[str, int], needs: Needs, speed: Speed) -> Demand:
    """A picture."""
    return step_demand(needs, speed, m.pictures.picture_ms, PICTURES)


FAMILIES = [
    Family(
        COMMENTATOR, CommentatorManifest, commentator_rules, PICTURES, open_model,
        needs=needs, demand=demand,
    )
]  # fmt: skip
