# SPDX-License-Identifier: Apache-2.0
"""Which pictures are new enough to be encoded, and which embeddings to enter the decoder."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgestream._native import TileGate, TokenGate
from edgestream.library.manifest.commentator import PictureGateSpec, PictureSpec

Floats = NDArray[np.float32]


class Linger:
    """Keeps what comes within `linger_ms` of the last change, which is news too: it all stopped."""

    def __init__(self, linger_ms: float) -> None:
        self._linger_ms = linger_ms
        self.reset()

    def push(self, changed: bool, time_ms: float) -> bool:
        """Whether what came at `time_ms` is kept."""
        if changed:
            self._changed_ms = time_ms
        return time_ms - self._changed_ms <= self._linger_ms

    def reset(self) -> None:
        """As if nothing had ever changed."""
        self._changed_ms = -math.inf


class PictureGate:
    """Before the encoder: drops pictures in which no tile differs from what was kept of it."""

    def __init__(self, pictures: PictureSpec, gate: PictureGateSpec) -> None:
        self._tiles = TileGate(
            pictures.width,
            pictures.height,
            tile_px=gate.tile_px,
            min_difference=gate.min_difference,
        )
        self._linger = Linger(gate.linger_ms)

    def push(self, rgb: Floats, time_ms: float) -> bool:
        """Whether the picture [height, width, 3] in [0, 1] is worth encoding; the first one is."""
        kept, _ = self._tiles.push(rgb)
        return self._linger.push(bool(kept.any()), time_ms)

    def reset(self) -> None:
        """The next picture is a first one."""
        self._tiles.reset()
        self._linger.reset()


class EmbeddingGate:
    """Behind the encoder: drops embeddings that point where the last one kept did."""

    def __init__(self, n_embd: int, gate: PictureGateSpec) -> None:
        self._tokens = TokenGate(1, n_embd, gate.max_cosine)
        self._linger = Linger(gate.linger_ms)

    def push(self, embedding: Floats, time_ms: float) -> bool:
        """Whether the embedding [1, n_embd] is worth a row of the decoder; the first one is."""
        kept = self._tokens.push(embedding)
        return self._linger.push(bool(kept.any()), time_ms)

    def reset(self) -> None:
        """The next embedding is a first one."""
        self._tokens.reset()
        self._linger.reset()
