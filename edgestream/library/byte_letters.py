# SPDX-License-Identifier: Apache-2.0
"""The letter that stands for each byte in the tokens of GPT-2 (Radford et al. 2019)."""

from __future__ import annotations

_PLAIN = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
_OTHERS = iter(range(256, 512))
BYTE_LETTERS = tuple(chr(byte if byte in _PLAIN else next(_OTHERS)) for byte in range(256))
LETTER_BYTES = {letter: byte for byte, letter in enumerate(BYTE_LETTERS)}
