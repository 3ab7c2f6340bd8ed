# SPDX-License-Identifier: Apache-2.0
"""`tokenizer.bin`, as the makers of Moonshine keep it beside their graphs: pieces in their order.

Before each piece stands its length: a byte below 128, or two, the second one counting 128s
(github.com/moonshine-ai/moonshine, core/bin-tokenizer). Pieces are SentencePiece's, a byte's own
piece is that byte, and what is in angle brackets means something else than text.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgestream.errors import ModelError

FILE = "tokenizer.bin"
MAX_BYTES = 64 << 20
SPACE = "\u2581".encode()
SPECIAL = re.compile(rb"<(?:unk|s|/s|pad|<[A-Z]+_\d+>)>")
START, END = b"<s>", b"</s>"


def read_pieces(path: Path) -> list[bytes]:
    """Every piece as it is stored.

    Raises:
        ModelError: the file is missing, cut off, too large, or has no start or end.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ModelError(f"{path}: larger than {MAX_BYTES >> 20} MB, not a {FILE}")
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size, at = data[at], at + 1
        if size >= 128 and at < len(data):
            size, at = size - 128 + 128 * data[at], at + 1
        if at + size > len(data):
            raise ModelError(f"{path}: is cut off or damaged in piece {len(pieces)}")
        pieces.append(data[at : at + size])
        at += size
    if START not in pieces or END not in pieces:
        raise ModelError(f"{path}: has no <s> or </s>; is it Moonshine's?")
    return pieces


def text_of(piece: bytes) -> bytes:
    """The UTF-8 that a piece stands for, maybe a part of a character; empty if it is special."""
    return b"" if SPECIAL.fullmatch(piece) else piece.replace(SPACE, b" ")
