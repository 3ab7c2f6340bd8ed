# SPDX-License-Identifier: Apache-2.0
"""A random Moonshine in the layout of a public repository, small enough to run in a test."""

from __future__ import annotations

import json

import numpy as np

START, END, N_VOCAB = 1, 2, 300
CONFIG = {
    "model_type": "moonshine", "vocab_size": N_VOCAB, "hidden_size": 48, "intermediate_size": 64,
    "encoder_num_hidden_layers": 2, "decoder_num_hidden_layers": 2,
    "encoder_num_attention_heads": 4, "decoder_num_attention_heads": 4,
    "max_position_embeddings": 194, "decoder_start_token_id": START, "bos_token_id": START,
    "eos_token_id": END, "rope_parameters": {
        "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.9
    },
}  # fmt: skip


def tensors(seed: int = 0, config: dict = CONFIG) -> dict[str, np.ndarray]:
    """Weights by the names of transformers."""
    random, d, n_ffn = (
        np.random.default_rng(seed),
        config["hidden_size"],
        config["intermediate_size"],
    )
    found = {}

    def put(name: str, *shape: int, scale: float | None = None, mean: float = 0) -> None:
        scale = 1.6 * float(np.prod(shape[1:])) ** -0.5 if scale is None else scale
        found["model." + name] = random.normal(mean, scale, shape).astype(np.float32)

    for i, (n, k, width) in enumerate(((d, 1, 127), (2 * d, d, 7), (d, 2 * d, 3)), 1):
        put(f"encoder.conv{i}.weight", n, k, width, scale=3.0 if i == 1 else None)
        if i > 1:
            put(f"encoder.conv{i}.bias", n, scale=0.1)
    put("encoder.groupnorm.weight", d, scale=0.1, mean=1)
    put("encoder.groupnorm.bias", d, scale=0.1)
    put("decoder.embed_tokens.weight", config["vocab_size"], d, scale=0.6)
    sides = {
        "encoder": (("self_attn",), ("input_layernorm", "post_attention_layernorm"), n_ffn),
        "decoder": (
            ("self_attn", "encoder_attn"),
            ("input_layernorm", "post_attention_layernorm", "final_layernorm"),
            2 * n_ffn,
        ),
    }
    for side, (attentions, norms, n_inner) in sides.items():
        for at in (f"{side}.layers.{i}." for i in range(config[f"{side}_num_hidden_layers"])):
            for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
                for attention in attentions:
                    put(f"{at}{attention}.{part}.weight", d, d)
            for norm in norms:
                put(f"{at}{norm}.weight", d, scale=0.1, mean=1)
            for part, n, k in (("fc1", n_inner, d), ("fc2", d, n_ffn)):
                put(f"{at}mlp.{part}.weight", n, k)
                put(f"{at}mlp.{part}.bias", n, scale=0.1)
    put("encoder.layer_norm.weight", d, scale=0.1, mean=1)
    put("decoder.norm.weight", d, scale=0.1, mean=1)
    return found


def tokenizer() -> dict:
    """SentencePiece's pieces: specials, bytes, and a few words."""
    vocab = {"<unk>": 0, "<s>": START, "</s>": END}
    vocab |= {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    vocab |= {f"\u2581word{i}": 259 + i for i in range(N_VOCAB - 259)}
    added = [{"id": i, "content": name} for i, name in enumerate(("<unk>", "<s>", "</s>"))]
    return {"model": {"type": "BPE", "vocab": vocab, "merges": []}, "added_tokens": added}


def write(folder, seed: int = 0):
    """A repository as the community lays it out; returns its folder."""
    from edgestream.convert.onnx.moonshine import write_moonshine

    (folder / "onnx").mkdir(parents=True)
    write_moonshine(CONFIG, tensors(seed), folder / "onnx")
    for name, data in (("config.json", CONFIG), ("tokenizer.json", tokenizer())):
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder
