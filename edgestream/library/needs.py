# SPDX-License-Identifier: Apache-2.0
"""What a model needs of a machine: memory for one stream, and time for a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.ring import EMBEDDINGS_FILE, RingSpec

PROCESS_BYTES = 90_000_000  # Python, onnxruntime and ggml before any weights (measured)
PICTURES_BYTES = 35_000_000  # OpenCV, and the pictures that it decodes (measured)
F16_BYTES, F32_BYTES = 2, 4


@dataclass(frozen=True, slots=True)
class Needs:
    """Memory that a model takes while it runs one stream."""

    weights_bytes: int
    kv_bytes: int | None  # None: an ONNX file does not tell it before it is loaded
    activation_bytes: int

    @property
    def total_bytes(self) -> int:
        """All that is known of it, the program included."""
        return self.weights_bytes + (self.kv_bytes or 0) + self.activation_bytes + PROCESS_BYTES


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a machine computes."""

    s_per_byte: float  # of a step of the built-in model on one thread, for each byte of weights
    bytes_per_s: float  # that memory gives
    flop_per_s: float  # of products of large matrices, all cores


@dataclass(frozen=True, slots=True)
class Demand:
    """How much computing a model asks for, and how often."""

    step_ms: float  # input of one step; infinite of a decoder alone, which has no pace
    compute_ms: float  # estimated for one step on one thread
    of: str = "sound"  # what a step takes in


def step_s(speed: Speed, weights_bytes: int) -> float:
    """Every step reads all weights once: as fast as they are computed with, or as memory gives."""
    return weights_bytes * max(speed.s_per_byte, 1 / speed.bytes_per_s)


def graph_needs(_: Any, sizes: dict[str, int], __: DecoderShape | None) -> Needs:
    """Of a model that is small graphs; onnxruntime keeps a packed copy of their weights."""
    return Needs(sum(sizes.values()), 0, sum(sizes.values()))


def step_demand(needs: Needs, speed: Speed, step_ms: float, of: str = "sound") -> Demand:
    """Of a model that reads its weights once for each `step_ms` of what it takes in."""
    return Demand(step_ms, 1000 * step_s(speed, needs.weights_bytes), of)


def unpaced(_: Any, __: dict[str, int], needs: Needs, speed: Speed) -> Demand:
    """Of a model without a pace of its own: a row as fast as it goes."""
    return step_demand(needs, speed, math.inf)


def weights_bytes(sizes: dict[str, int], *files: str) -> int:
    """Of the files named, and of `NAME.data`, where an ONNX file keeps large weights."""
    return sum(n_bytes for name, n_bytes in sizes.items() if name.startswith(files))


def ring_needs(
    ring: RingSpec,
    sizes: dict[str, int],
    shape: DecoderShape | None,
    encoder: str | None = None,
    seen_bytes: int = 0,
) -> Needs:
    """Of a decoder over a ring, behind the encoder in a file, if any; `shape` is of a GGUF decoder.

    onnxruntime says nothing of its buffers beforehand; it keeps packed copies of weights, so what
    it runs is counted twice.
    """
    encoder_bytes = weights_bytes(sizes, encoder) if encoder else 0
    if shape is None:
        onnx_bytes = encoder_bytes + sizes[ring.file] + sizes[EMBEDDINGS_FILE]
        return Needs(onnx_bytes, None, onnx_bytes)
    rows = ring.n_sinks + ring.window
    kv_bytes = rows * shape.kv_width * F16_BYTES
    kv_bytes += ring.n_sinks * shape.kv_width // 2 * F32_BYTES  # keys of the sinks before rotation
    floats = shape.n_vocab + 8 * shape.n_embd + 3 * shape.n_ff + 2 * shape.n_heads * rows
    return Needs(
        weights_bytes=encoder_bytes + sizes[ring.file],
        kv_bytes=kv_bytes,
        activation_bytes=floats * F32_BYTES + encoder_bytes + seen_bytes,
    )
