# SPDX-License-Identifier: Apache-2.0
"""The shape of a decoder from the first bytes of its GGUF file, before the rest is fetched."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgestream.errors import ModelError

FIRST_READ_BYTES = 1 << 16
LAST_READ_BYTES = 1 << 24  # metadata with the largest vocabularies takes about 10 MB
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
STRING, ARRAY = 8, 9
SHORT_ARRAY = 4096  # one value a layer; longer ones belong to the tokenizer
TOKENS = "tokenizer.ggml.tokens"
SHAPE_LIMIT = 1 << 24


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """What the memory of a stream depends on."""

    n_vocab: int
    n_embd: int
    n_ff: int
    n_heads: int
    n_layers: int
    kv_width: int  # values of all keys and values of one row, all layers


def read_shape(read_start: Callable[[int], bytes], where: str) -> DecoderShape:
    """Reads as much of the start of a GGUF file as it takes to know the decoder's shape.

    Args:
        read_start: gives the first n bytes of the file, or all of it if it is shorter.
        where: names the file in errors.

    Raises:
        ModelError: not a GGUF file, or one that does not say its shape.
    """
    n_bytes = FIRST_READ_BYTES
    while True:
        start = read_start(n_bytes)
        try:
            return _shape(_metadata(start))
        except EOFError:
            if len(start) < n_bytes or n_bytes >= LAST_READ_BYTES:
                raise ModelError(f"{where}: a GGUF file that ends within its metadata") from None
        except ValueError as error:
            raise ModelError(f"{where}: {error}") from None
        n_bytes *= 16


def _metadata(start: bytes) -> dict[str, Any]:
    """Keys and values; of an array that is long or of texts only its length."""
    reader = _Reader(start)
    if (magic := reader.take(4)) != b"GGUF":
        raise ValueError(f"not a GGUF file (it begins with {magic!r})")
    version, _, n_keys = reader.scalar("I"), reader.scalar("Q"), reader.scalar("Q")
    if version not in (2, 3):
        raise ValueError(f"GGUF version {version} (2 and 3 can be read)")
    found: dict[str, Any] = {}
    for _ in range(n_keys):
        key = reader.key()
        found[key] = reader.value(reader.scalar("I"))
        if key == TOKENS and f"{found.get('general.architecture')}.block_count" in found:
            break  # the shape stands before the tokens, which may take megabytes
    return found


class _Reader:
    """Little-endian values of GGUF, one after the other; EOFError where the bytes end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._texts_ahead = data, 0, 0

    def take(self, n_bytes: int) -> bytes:
        if n_bytes > len(self._data) - self._at:
            raise EOFError
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at]

    def scalar(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> str:
        return self.take(self.scalar("Q")).decode("utf-8", "replace")

    def key(self) -> str:
        for _ in range(self._texts_ahead):
            self.take(self.scalar("Q"))
        self._texts_ahead = 0
        return self.text()

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._array(self.scalar("I"), self.scalar("Q"))
        if kind not in SCALARS:
            raise ValueError(f"value of the unknown GGUF type {kind}")
        return self.scalar(SCALARS[kind])

    def _array(self, kind: int, n: int) -> Any:
        if kind == STRING:
            self._texts_ahead = n  # skipped when another key is wanted
            return n
        if kind not in SCALARS:
            raise ValueError(f"array of the GGUF type {kind}")
        values = self.take(n * struct.calcsize(f"<{SCALARS[kind]}"))
        return list(struct.unpack(f"<{n}{SCALARS[kind]}", values)) if n <= SHORT_ARRAY else n


def _shape(found: dict[str, Any]) -> DecoderShape:
    arch = found.get("general.architecture")

    def number(key: str, default: int | None = None) -> int:
        value = found.get(f"{arch}.{key}", default)
        if type(value) is not int or not 0 < value <= SHAPE_LIMIT:
            raise ValueError(f"{arch}.{key} is missing or out of range")
        return value

    n_layers, n_embd, n_heads = (
        number(key) for key in ("block_count", "embedding_length", "attention.head_count")
    )
    head_size = max(1, n_embd // n_heads)
    kv_heads = found.get(f"{arch}.attention.head_count_kv", n_heads)
    per_layer = kv_heads if isinstance(kv_heads, list) else [kv_heads] * min(n_layers, SHORT_ARRAY)
    if not all(type(n) is int and 0 <= n <= SHAPE_LIMIT for n in per_layer):
        raise ValueError(f"{arch}.attention.head_count_kv is out of range")
    sizes = number("attention.key_length", head_size), number("attention.value_length", head_size)
    n_vocab = found.get(TOKENS, found.get(f"{arch}.vocab_size"))
    if type(n_vocab) is not int or not 0 < n_vocab <= SHAPE_LIMIT:
        raise ValueError("it has no tokenizer and no vocab_size")
    return DecoderShape(
        n_vocab=n_vocab,
        n_embd=n_embd,
        n_ff=number("feed_forward_length"),
        n_heads=n_heads,
        n_layers=n_layers,
        kv_width=sum(per_layer) * sum(sizes),
    )
