# SPDX-License-Identifier: Apache-2.0
"""A checkpoint's tokenizer as GGUF states it, so that libllama cuts text as the original does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from edgestream.errors import ModelError
from edgestream.library.json_file import Fields

MAX_TOKEN_CHARS, MAX_ADDED = 1 << 12, 1 << 16
ROLES = ("bos", "eos", "unk", "pad")
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type` of GGUF."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(slots=True)
class Vocabulary:
    """Tokens by id with their types.

    `model` is GGUF's name: "gpt2" (BPE over bytes, cut first by the rules called `pre`; `merges`
    in order) or "llama" (SentencePiece BPE, the higher of `scores` first).
    """

    model: str
    tokens: list[str]
    types: list[TokenType]
    pre: str = "default"
    merges: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    roles: dict[str, int] = field(default_factory=dict)  # ids of bos, eos, unk, pad
    add_bos: bool = False
    add_eos: bool = False
    add_space_prefix: bool = False
    normalizer: str = ""  # Unicode's form that texts are brought into first: NFC or none
    chat_template: str | None = None

    def put(self, token: int, text: str, kind: TokenType, where: str) -> None:
        """Sets a token that was added after training; makes room for it."""
        if not 0 <= token <= len(self.tokens) + MAX_ADDED:
            raise ModelError(f"{where}: the token {text!r:.80} has the id {token}")
        self.fill(token + 1)
        self.tokens[token], self.types[token] = text, kind

    def fill(self, n_tokens: int) -> None:
        """Lengthens to `n_tokens` with tokens that no text gives; embeddings are often longer."""
        for i in range(len(self.tokens), n_tokens):
            self.tokens.append(f"[PAD{i}]")
            self.types.append(TokenType.UNUSED)
            if self.scores:
                self.scores.append(-1e9)

    def check(self, n_vocab: int, where: str) -> None:
        """Completes and checks what libllama takes for granted; on less it would abort.

        Raises:
            ModelError: more tokens than embeddings, two alike, bytes without a token.
        """
        if len(self.tokens) > n_vocab:
            raise ModelError(f"{where}: {len(self.tokens)} tokens, the weights have {n_vocab}")
        self.fill(n_vocab)
        for i, token in enumerate(self.tokens):
            _check_text(token, f"{where}: token {i}")
        ids = {text: i for i, text in enumerate(self.tokens)}
        for i, text in enumerate(self.tokens):
            if ids[text] != i:
                raise ModelError(f"{where}: tokens {i} and {ids[text]} are both {text!r:.80}")
        if self.model == "llama" and any(byte not in ids for byte in BYTE_TOKENS):
            raise ModelError(f"{where}: without tokens for all bytes (byte_fallback); refused")
        for merge in self.merges:
            left, _, right = merge.partition(" ")
            if not (left in ids and right in ids and left + right in ids):
                raise ModelError(f"{where}: the merge {merge!r:.80} is not of its tokens")


def _check_text(text: str, where: str) -> None:
    if not text or "\0" in text or len(text) > MAX_TOKEN_CHARS:
        raise ModelError(f"{where} is empty, too long or holds a null")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ModelError(f"{where} is not Unicode")


def read_roles(vocabulary: Vocabulary, sources: Sequence[Fields], config: Fields) -> None:
    """Which tokens begin and end texts: by text in `sources`, else by id in config.json."""
    for role in ROLES:
        for source in sources:
            text = _content(source.data.get(f"{role}_token"))
            if text in vocabulary.tokens:
                vocabulary.roles[role] = vocabulary.tokens.index(text)
                break
        else:
            token: Any = config.data.get(f"{role}_token_id")
            token = token[0] if isinstance(token, list) and token else token
            if type(token) is int and 0 <= token < len(vocabulary.tokens):
                vocabulary.roles[role] = token


def _content(entry: Any) -> str:
    """Text of a token, which files write as a string or as an object."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if isinstance(entry, str) else ""
