# SPDX-License-Identifier: Apache-2.0
"""Sound of telephones, 8 bits a sample, to numbers from -1 to 1 (ITU-T G.711)."""

from __future__ import annotations

import numpy as np

from edgestream.sources.block import Samples

RATE_HZ = 8_000
MU_BIAS = 0x84  # 33 steps of the smallest kind, on the scale of 16 bits


def mu_law_table() -> Samples:
    """The value of each byte of mu-law [256]."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = code >> 4 & 7, code & 15
    size = (((mantissa << 3) + MU_BIAS) << exponent) - MU_BIAS
    return _scaled(np.where(code & 0x80, -size, size))


def a_law_table() -> Samples:
    """The value of each byte of A-law [256]."""
    code = np.arange(256) ^ 0x55  # every second bit is turned around on the line
    exponent, mantissa = code >> 4 & 7, code & 15
    size = np.where(
        exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0)
    )
    return _scaled(np.where(code & 0x80, size, -size))


class Companded:
    """Bytes to samples; a byte is a sample, so nothing is carried."""

    def __init__(self, table: Samples) -> None:
        self._table = table

    def push(self, data: bytes) -> Samples:
        """Samples [n] at RATE_HZ."""
        return self._table[np.frombuffer(data, np.uint8)]


def _scaled(values: np.ndarray) -> Samples:
    return (values / 32768).astype(np.float32)
