# SPDX-License-Identifier: Apache-2.0
"""A random decoder whose tokens are short words and endings, with a chat template or without one,
or as a model that was trained to translate word by word."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from tiny_llama import TinyShape, random_weights, write_gguf

from edgestream.reader.model import ReaderModel, load_reader

CHATML = Path(__file__).resolve().parents[1] / "data/chat/smollm2.jinja"
CHAT = ("<s>", "</s>", "<|im_start|>", "<|im_end|>")
TRAINED = ("<grouped>", "<interleaved>", "<end>")
WORDS = ("ba", "da", "fo", "gi", "ko", "lu", "mi", "no", "pe", "ra", "su", "ti")
ENDINGS = ("na", "so", "la", ".", ",")
N_LAYERS = 3  # the middle third is one of them


def write_translator(
    path: Path, *, kind: str = "chat", seed: int = 0, ends_share: float = 1.0
) -> Path:
    """`kind`: chat, plain (no template) or trained. `ends_share` scales how likely an end is."""
    special = [*CHAT, *(TRAINED if kind == "trained" else ())]
    written = [*(f"▁{word}" for word in WORDS), *ENDINGS]
    tokens = ["<unk>", *special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *written]
    shape = TinyShape(
        n_layers=N_LAYERS, n_embd=32, n_ff=32, n_heads=2, n_kv_heads=1, n_vocab=len(tokens)
    )
    weights = random_weights(shape, seed)
    end = {"chat": "<|im_end|>", "plain": "<0x0A>", "trained": "<end>"}[kind]
    never = [i for i, token in enumerate(tokens) if token not in (*written, end)]
    weights["output.weight"][never] = 0
    weights["output.weight"][tokens.index(end)] *= np.float32(ends_share)

    def add_tokenizer(writer: gguf.GGUFWriter, _: TinyShape) -> None:
        writer.add_tokenizer_model("llama")
        writer.add_token_list(tokens)
        writer.add_token_scores([float(len(token.lstrip("▁"))) for token in tokens])
        writer.add_token_types([_type(token) for token in tokens])
        writer.add_bos_token_id(tokens.index("<s>"))
        writer.add_eos_token_id(tokens.index(end if kind != "plain" else "</s>"))
        writer.add_add_bos_token(False)
        writer.add_add_space_prefix(kind == "trained")
        if kind == "chat":
            writer.add_chat_template(CHATML.read_text("utf-8"))

    return write_gguf(path, shape, weights, add_tokenizer=add_tokenizer)


def tiny_translator(folder: Path, *, kind: str = "chat", seed: int = 0) -> ReaderModel:
    """The same, opened."""
    return load_reader(write_translator(folder / f"{kind}-{seed}.gguf", kind=kind, seed=seed))


def _type(token: str) -> int:
    if token in CHAT or token in TRAINED:
        return int(gguf.TokenType.CONTROL)
    if token == "<unk>":
        return int(gguf.TokenType.UNKNOWN)
    return int(gguf.TokenType.BYTE if token.startswith("<0x") else gguf.TokenType.NORMAL)
