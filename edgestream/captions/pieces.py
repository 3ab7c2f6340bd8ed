# SPDX-License-Identifier: Apache-2.0
"""What each token adds to the text, whatever kind of tokenizer a model's file has.

A token may hold a part of a letter's bytes; such bytes stand in its piece as Python's
`surrogateescape` writes them, so that pieces are joined as strings and `joined` makes letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgestream.library.byte_letters import LETTER_BYTES

WORD_START = "\u2581"  # SentencePiece's mark for the space before a word
BYTES = "gpt2"  # GGUF's name for tokenizers over bytes
UNKNOWN, CONTROL, UNUSED, BYTE = 2, 3, 5, 6  # types of tokens in GGUF; these have no plain text
LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # stands for no byte
SPELLED_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


def pieces(texts: Sequence[str], types: Sequence[int], kind: str) -> list[str]:
    """The pieces of tokens: empty where a token means something to the model alone.

    Args:
        texts: as they stand in the file, `tokenizer.ggml.tokens`.
        types: `tokenizer.ggml.token_type`; empty if the file does not say.
        kind: `tokenizer.ggml.model`.
    """
    known = [*types, *[0] * (len(texts) - len(types))]
    return [_piece(text, of, kind) for text, of in zip(texts, known, strict=False)]


def _piece(text: str, of: int, kind: str) -> str:
    if of in (UNKNOWN, CONTROL, UNUSED):
        return ""
    if of == BYTE:
        return _text(bytes.fromhex(text[3:5])) if SPELLED_BYTE.fullmatch(text) else ""
    if kind == BYTES and all(letter in LETTER_BYTES for letter in text):
        return _text(bytes(LETTER_BYTES[letter] for letter in text))
    return text


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    return WORD_START + text.lstrip() if text[:1].isspace() else text


def piece_bytes(piece: str) -> bytes:
    """The bytes that a piece adds to the text."""
    text = LONE_SURROGATE.sub("", piece.replace(WORD_START, " "))
    return text.encode("utf-8", "surrogateescape")


def joined(text: str) -> str:
    """Pieces put together, without letters of which bytes are missing."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "ignore")
