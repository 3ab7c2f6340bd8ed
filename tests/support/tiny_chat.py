# SPDX-License-Identifier: Apache-2.0
"""Tiny decoders with a vocabulary that can spell everything, special tokens and a chat template."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream._native import GgufModel
from edgestream.decoder.tokenizer import Tokenizer

SPECIAL = (
    "<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<start_of_turn>",
    "<end_of_turn>",
)  # fmt: skip
WORDS = ("user", "assistant", "system", "Question", "Answer")


def _letters() -> list[str]:
    """How GPT-2's vocabularies write the 256 bytes (openai/gpt-2, encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = iter(range(256, 512))
    return [chr(byte if byte in printable else next(other)) for byte in range(256)]


def byte_pair_tokens() -> list[str]:
    """Of a vocabulary of byte pairs, without pairs: its letters are bytes."""
    return [*SPECIAL, *_letters()]


def piece_tokens() -> list[str]:
    """Of a SentencePiece vocabulary, which puts a space before every text, as Llama 2's does."""
    letters = [chr(code) for code in range(33, 127)]
    words = [word[:n] for word in WORDS for n in range(2, len(word) + 1)]
    return [
        *SPECIAL[:4], *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *letters,
        *(f"▁{letter}" for letter in letters), *dict.fromkeys(words),
        *dict.fromkeys(f"▁{word}" for word in words),
    ]  # fmt: skip


def write_chat(
    path: Path, template: object = None, *, pieces: bool = False, eos: str = "</s>"
) -> Path:
    """Writes a decoder; `template` as it shall stand in the file, of whatever type."""
    tokens = piece_tokens() if pieces else byte_pair_tokens()
    shape = TinyShape(n_layers=1, n_embd=32, n_ff=32, n_heads=2, n_vocab=len(tokens))

    def add_tokenizer(writer: gguf.GGUFWriter, _: TinyShape) -> None:
        writer.add_tokenizer_model("llama" if pieces else "gpt2")
        if not pieces:
            writer.add_tokenizer_pre("default")
            writer.add_token_merges(["a b"])
        writer.add_token_list(tokens)
        writer.add_token_scores([float(len(t.lstrip("▁"))) for t in tokens])
        writer.add_token_types([_type(token) for token in tokens])
        writer.add_bos_token_id(tokens.index("<s>"))
        writer.add_eos_token_id(tokens.index(eos))
        writer.add_add_bos_token(True)
        if pieces:
            writer.add_add_space_prefix(True)
        if isinstance(template, str):
            writer.add_chat_template(template)
        elif template is not None:
            writer.add_uint32("tokenizer.chat_template", template)

    return write_gguf(path, shape, random_weights(shape), add_tokenizer=add_tokenizer)


def opened(path: Path) -> tuple[GgufModel, Tokenizer]:
    """Weights and tokenizer of a file."""
    return GgufModel(str(path), device="cpu"), Tokenizer(path)


def _type(token: str) -> int:
    if token in SPECIAL:
        return int(gguf.TokenType.CONTROL)
    return int(gguf.TokenType.BYTE if token.startswith("<0x") else gguf.TokenType.NORMAL)


def texts(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """What the tokens say, special ones too."""
    return tokenizer.decode(tokens, special=True)
