# SPDX-License-Identifier: Apache-2.0
"""Turns a checkpoint into a model's folder: python export.py CHECKPOINT.pt OUT_DIR"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import gguf
import torch
from llama_parts import write_layers, write_matrix, write_sizes
from toy_network import Shape, Translator
from toy_vocabulary import CONTROL, END, SPACE, UNKNOWN

NORMAL, UNKNOWN_TYPE, CONTROL_TYPE = 1, 2, 3  # llama.cpp's types of tokens
WORD_SCORE, LETTER_SCORE = -1.0, -10.0  # whole words win over letters
MANIFEST = """\
format = 1
name = "toy-translator"
family = "decoder"
description = "English to French, about 300 words and no more, 1.7M parameters, for tests"
languages = ["en", "fr"]
license = "Apache-2.0"
source = "tools/train/translator"
quantization = "q8_0"
tokenizer = "decoder.gguf"

[decoder]
file = "decoder.gguf"
n_sinks = 1
window = {shape.window}
attention_layers = [{shape.guided_layer}]

[files]
"decoder.gguf" = "{digest}"
"""


def write_tokens(writer: gguf.GGUFWriter, texts: list[str]) -> None:
    """The vocabulary as a unigram one: libllama cuts a text into as few tokens as it can."""
    types = [NORMAL] * len(texts)
    types[: len(CONTROL)] = [CONTROL_TYPE] * len(CONTROL)
    types[UNKNOWN] = UNKNOWN_TYPE
    is_word = [len(text.removeprefix(SPACE)) > 1 or len(text) > 1 for text in texts]
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("t5")
    writer.add_token_list(texts)
    writer.add_token_scores([WORD_SCORE if word else LETTER_SCORE for word in is_word])
    writer.add_token_types(types)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    writer.add_remove_extra_whitespaces(True)


def write_translator(network: Translator, texts: list[str], path: Path) -> None:
    """The decoder as GGUF, matrices in Q8_0. The table of tokens is also the output."""
    writer = gguf.GGUFWriter(str(path), "llama")
    write_sizes(writer, "edgestream toy-translator", network.shape)
    write_tokens(writer, texts)
    write_matrix(writer, "token_embd", network.tokens.weight)
    write_layers(writer, network.layers, network.norm, network.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def load(checkpoint: Path) -> tuple[Translator, list[str]]:
    """The averaged network of a checkpoint, and its vocabulary."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = Translator(Shape(**saved["shape"]))
    network.load_state_dict(saved["average"])
    return network.eval(), saved["vocabulary"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("checkpoint", type=Path)
    options.add_argument("out_dir", type=Path)
    args = options.parse_args()
    network, texts = load(args.checkpoint)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    path = args.out_dir / "decoder.gguf"
    write_translator(network, texts, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = MANIFEST.format(shape=network.shape, digest=digest)
    (args.out_dir / "model.toml").write_text(manifest, encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
