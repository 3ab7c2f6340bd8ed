# SPDX-License-Identifier: Apache-2.0
"""Forms of the samples of raw PCM, by the names that ffmpeg gives them."""

from __future__ import annotations

from enum import Enum


class SampleFormat(str, Enum):
    """`s16le` is signed, 16 bits, little-endian; `u` is unsigned, `f` floating point from -1 to 1.

    The name says all: a new form is a line here.
    """

    u8 = "u8"
    s16le = "s16le"
    s24le = "s24le"
    s32le = "s32le"
    f32le = "f32le"
    s16be = "s16be"
    s24be = "s24be"
    s32be = "s32be"
    f32be = "f32be"

    @property
    def n_bytes(self) -> int:
        """Of one sample."""
        return int(self.value[1:].rstrip("lbe")) // 8

    @property
    def read_bytes(self) -> int:
        """Of the number that numpy reads: three bytes become the upper three of four."""
        return 4 if self.n_bytes == 3 else self.n_bytes

    @property
    def big_endian(self) -> bool:
        """Whether the byte of the highest value comes first."""
        return self.value.endswith("be")

    @property
    def dtype(self) -> str:
        """As numpy names it."""
        kind = {"s": "i"}.get(self.value[0], self.value[0])
        return f"{'>' if self.big_endian else '<'}{kind}{self.read_bytes}"

    @property
    def full_scale(self) -> float:
        """The number that stands for 1.0."""
        return 1.0 if self.value[0] == "f" else 2.0 ** (8 * self.read_bytes - 1)

    @property
    def offset(self) -> float:
        """The number that stands for silence."""
        return self.full_scale if self.value[0] == "u" else 0.0
