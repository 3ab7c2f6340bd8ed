# SPDX-License-Identifier: Apache-2.0
"""The family of watchers that follow what moves, such as nano-watch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.library.families import PICTURES, Family
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.manifest import TRACKS
from edgestream.library.manifest.tracks import TracksManifest, tracks_rules
from edgestream.library.needs import PICTURES_BYTES, Demand, Needs, Speed

ACTIVATION_BYTES = 30_000_000  # of a detector that looks at 416 pixels square (measured)
PRODUCTS_PER_BYTE = 300  # that it computes for each byte of its file, a picture (YOLOX-Nano)


def open_model(folder: Path, decoder_device: str | None) -> Any:
    """A TrackWatcher."""
    from edgestream.vision.tracked.model import TrackWatcher

    return TrackWatcher(folder, decoder_device=decoder_device)


def needs(_: TracksManifest, sizes: dict[str, int], __: DecoderShape | None) -> Needs:
    """The detector's graph, and pictures."""
    return Needs(2 * sum(sizes.values()), 0, ACTIVATION_BYTES + PICTURES_BYTES)


def demand(m: TracksManifest, sizes: dict[str, int], _: Needs, speed: Speed) -> Demand:
    """A picture in which something moves: the detector looks at all of it."""
    products = PRODUCTS_PER_BYTE * sizes[m.detector.file]
    return Demand(1000 / m.pictures.fps, 1000 * products / speed.flop_per_s, PICTURES)


FAMILIES = [
    Family(
        TRACKS, TracksManifest, tracks_rules, PICTURES, open_model, needs=needs, demand=demand
    )
]  # fmt: skip
