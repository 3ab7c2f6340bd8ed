# SPDX-License-Identifier: Apache-2.0
"""Matrices in 8 bits: a scale for each row, or for each block of a row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
STEPS = 127  # on either side of zero
# Of matrices that meet unsigned activations in large tiles. Processors without VNNI add two of the
# products in 16 bits: 2 x 255 x 64 fits; with 127 Whisper's states were 18 % off on AVX2.
TILE_STEPS = 64
MIN_BLOCK, MAX_BLOCK = 16, 128  # weights that onnxruntime's products in blocks take


def block_of(width: int) -> int:
    """The largest block, a power of two, of which rows of this width are made; 0 if none is."""
    size = min(width & -width, MAX_BLOCK)
    return size if size >= MIN_BLOCK else 0


def eight_bit_blocks(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """[n, k] to codes [n, blocks, block] and scales [n, blocks]: weight = scale * (code - 128)."""
    blocks = weight.reshape(len(weight), -1, block_of(weight.shape[1]))
    codes, scales = _rounded(blocks, STEPS)
    return (codes + 128).astype(np.uint8), scales


def eight_bit_rows(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """[n, k] to codes [n, k] and scales [n]: weight = scale * code."""
    codes, scales = _rounded(weight, TILE_STEPS)
    return codes.astype(np.int8), scales


def _rounded(weight: Floats, n_steps: int) -> tuple[Floats, Floats]:
    """To whole steps over the last axis, and the size of a step."""
    scales = np.abs(weight).max(-1) / np.float32(n_steps)
    scales = np.where(scales == 0, np.float32(1), scales)
    return np.rint(weight / scales[..., None]), scales
