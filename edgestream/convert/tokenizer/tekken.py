# SPDX-License-Identifier: Apache-2.0
"""tekken.json, Mistral's form of tiktoken's byte-level BPE: ranks of byte strings, no pairs."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from edgestream.convert.tokenizer.json import TEKKEN_PATTERN
from edgestream.convert.tokenizer.vocabulary import TokenType, Vocabulary
from edgestream.errors import ModelError
from edgestream.library.byte_letters import BYTE_LETTERS
from edgestream.library.json_file import Fields

MAX_PIECE_BYTES = 1 << 10
BOS, EOS, UNK = "<s>", "</s>", "<unk>"


def read_tekken(tekken: Fields) -> Vocabulary:
    """The vocabulary: special tokens first, then byte strings by rank, written as pairs.

    Raises:
        ModelError: damaged, or cut into words otherwise than libllama's `tekken`.
    """
    config = tekken.table("config")
    if config.text("pattern") != TEKKEN_PATTERN:
        raise ModelError(f"{config.where}: cuts words by a pattern that libllama does not have")
    n_special = config.integer("default_num_special_tokens", 0, 1 << 16)
    n_ranks = config.integer("default_vocab_size", 256, 1 << 24) - n_special
    ranks = _ranks(tekken, n_ranks)
    tokens = [f"<SPECIAL_{i}>" for i in range(n_special)]
    for each in tekken.get("special_tokens", list, []):
        entry = Fields(each, f"{tekken.where}: special_tokens")
        tokens[entry.integer("rank", 0, n_special - 1)] = entry.text("token_str")
    types = [TokenType.CONTROL] * n_special + [TokenType.NORMAL] * len(ranks)
    tokens += ["".join(BYTE_LETTERS[byte] for byte in piece) for piece in ranks]
    merges = [
        " ".join("".join(BYTE_LETTERS[byte] for byte in part) for part in pair)
        for pair in _pairs(ranks, tekken.where)
    ]
    vocabulary = Vocabulary("gpt2", tokens, types, pre="tekken", merges=merges, add_bos=True)
    for role, text in (("bos", BOS), ("eos", EOS), ("unk", UNK)):
        if text in tokens[:n_special]:
            vocabulary.roles[role] = tokens.index(text)
    vocabulary.add_bos = "bos" in vocabulary.roles
    return vocabulary


def _ranks(tekken: Fields, n_ranks: int) -> dict[bytes, int]:
    entries: list[Any] = tekken.get("vocab", list)
    if len(entries) < n_ranks:
        raise ModelError(f"{tekken.where}: {len(entries)} tokens, its config says {n_ranks}")
    ranks: dict[bytes, int] = {}
    for rank, each in enumerate(entries[:n_ranks]):
        entry = Fields(each, f"{tekken.where}: vocab")
        try:
            piece = base64.b64decode(entry.text("token_bytes"), validate=True)
        except (ValueError, binascii.Error):
            raise ModelError(f"{entry.where}: the bytes of {rank} are not base64") from None
        if entry.integer("rank", 0, 1 << 24) != rank or not 0 < len(piece) <= MAX_PIECE_BYTES:
            raise ModelError(f"{entry.where}: number {rank} has another rank or no bytes")
        if ranks.setdefault(piece, rank) != rank or (rank < 256) != (len(piece) == 1):
            raise ModelError(f"{entry.where}: number {rank} is there twice, or no single byte")
    return ranks


def _pairs(ranks: dict[bytes, int], where: str) -> list[tuple[bytes, bytes]]:
    """The last merge that makes each token, found by making it with the tokens before it."""
    pairs = []
    for piece, rank in ranks.items():
        if len(piece) == 1:
            continue
        parts = [piece[i : i + 1] for i in range(len(piece))]
        while len(parts) > 2:
            made = [ranks.get(parts[i] + parts[i + 1], rank) for i in range(len(parts) - 1)]
            at = min(range(len(made)), key=made.__getitem__)
            if made[at] >= rank:
                raise ModelError(f"{where}: the token {rank} is not made of tokens before it")
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        pairs.append((parts[0], parts[1]))
    return pairs
