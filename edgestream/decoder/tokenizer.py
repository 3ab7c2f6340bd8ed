# SPDX-License-Identifier: Apache-2.0
"""Text to tokens and back, by libllama's tokenizer of a GGUF file."""

from __future__ import annotations

import ctypes
import unicodedata
import weakref
from collections.abc import Sequence
from pathlib import Path

import llama_cpp

from edgestream.errors import ModelError
from edgestream.system.names import native_name

PIECE_BYTES = 64  # of most tokens
NORMALIZER = "edgestream.decoder.tokenizer.normalizer"  # in a file that `edgestream convert` wrote


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
def silent_log(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
    """Takes what llama.cpp's libraries would print to stderr, which is the status line's."""


class Tokenizer:
    """The vocabulary of a GGUF file; weights, if it has any, are not read.

    A GgufModel of the same file, or its checksum, comes first: libllama trusts what it reads.
    """

    def __init__(self, path: Path) -> None:
        """Raises ModelError if libllama cannot load the vocabulary."""
        llama_cpp.llama_log_set(silent_log, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        model = llama_cpp.llama_model_load_from_file(native_name(path).encode(), params)
        if not model:
            raise ModelError(f"{path}: libllama cannot load its tokenizer")
        weakref.finalize(self, llama_cpp.llama_model_free, model)
        self.model = (
            model  # libllama's, for libraries that want a vocabulary; lives as long as this
        )
        self.path = path
        self._vocab = llama_cpp.llama_model_get_vocab(model)
        self.n_tokens = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self._normalizes = _metadata(model, NORMALIZER) == "NFC"

    def encode(self, text: str, *, add_special: bool = True, special: bool = False) -> list[int]:
        """The tokens of a text.

        Args:
            text: any text.
            add_special: with the tokens that the model wants around a text.
            special: texts of special tokens, as in chat templates, become these tokens. Keep it off
                for text of others, who could write them too.
        """
        text = unicodedata.normalize("NFC", text) if self._normalizes else text
        data = text.encode("utf-8", "replace")
        room = len(data) + 8  # a byte makes a token at most, and a few come around
        out = (llama_cpp.llama_token * room)()
        n = llama_cpp.llama_tokenize(self._vocab, data, len(data), out, room, add_special, special)
        if n < 0:
            raise ModelError(f"tokenizer: no room for {-n} tokens of {len(data)} bytes")
        return out[:n]

    def first_tokens(self, tokens: Sequence[int]) -> list[int]:
        """The tokens as the first ones of a stream: with BOS if the model wants it before all."""
        bos = llama_cpp.llama_vocab_bos(self._vocab)
        wanted = llama_cpp.llama_vocab_get_add_bos(self._vocab) and bos >= 0
        return [bos, *tokens] if wanted and list(tokens[:1]) != [bos] else list(tokens)

    def end_tokens(self) -> list[int]:
        """Tokens that end a text or a turn, as far as the file names them."""
        named = (llama_cpp.llama_vocab_eos(self._vocab), llama_cpp.llama_vocab_eot(self._vocab))
        return [token for token in named if token >= 0]

    def decode(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """The texts of tokens, joined; `special` shows those of special ones too.

        A space that the model puts before every text is kept, so that pieces can be joined.

        Raises:
            ValueError: there is no such token.
        """
        if any(not 0 <= token < self.n_tokens for token in tokens):
            raise ValueError(f"tokenizer: tokens are 0 to {self.n_tokens - 1}")
        return b"".join(self.piece(token, special=special) for token in tokens).decode(
            "utf-8", "replace"
        )

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """What one token stands for, which may be a part of a character."""
        out = ctypes.create_string_buffer(PIECE_BYTES)
        n = llama_cpp.llama_token_to_piece(self._vocab, token, out, len(out), 0, special)
        if n < 0:
            out = ctypes.create_string_buffer(-n)
            n = llama_cpp.llama_token_to_piece(self._vocab, token, out, len(out), 0, special)
        return out.raw[:n]


def _metadata(model: object, key: str) -> str:
    """A string of the file's metadata; empty if it is not there."""
    out = ctypes.create_string_buffer(PIECE_BYTES)
    n = llama_cpp.llama_model_meta_val_str(model, key.encode(), out, len(out))
    return out.value.decode("utf-8", "replace") if n > 0 else ""
