# SPDX-License-Identifier: Apache-2.0
"""The decoders of tiny_llama.py as checkpoints: names, layout and config.json of hubs."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file
from tiny_llama import TinyShape

MODEL_TYPES = {
    "llama": "llama", "smollm3": "smollm3", "qwen2": "qwen2", "qwen3": "qwen3",
    "gemma3": "gemma3_text",
}  # fmt: skip
DTYPES = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
PARTS = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}  # fmt: skip
ENDS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def config_of(shape: TinyShape) -> dict:
    config = {
        "model_type": MODEL_TYPES[shape.architecture], "num_hidden_layers": shape.n_layers,
        "hidden_size": shape.n_embd, "intermediate_size": shape.n_ff, "head_dim": shape.head_dim,
        "num_attention_heads": shape.n_heads, "num_key_value_heads": shape.n_kv_heads,
        "vocab_size": shape.n_vocab, "rms_norm_eps": shape.rms_epsilon,
        "rope_theta": shape.rope_base, "max_position_embeddings": 4096,
        "tie_word_embeddings": shape.tied, "hidden_act": "silu",
    }  # fmt: skip
    if shape.rope_scaling != "none":
        config["rope_scaling"] = {
            "rope_type": shape.rope_scaling, "factor": shape.rope_factor,
            "original_max_position_embeddings": shape.trained_rows,
        }  # fmt: skip
    if shape.traits.is_gemma:
        config |= {
            "hidden_activation": "gelu_pytorch_tanh", "sliding_window": shape.local_window,
            "query_pre_attn_scalar": shape.head_dim, "sliding_window_pattern": shape.local_period,
        }  # fmt: skip
    return config


def as_checkpoint(shape: TinyShape, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights by GGUF's names under the names of hubs, laid out as there."""
    return {_name(name, shape): _laid_out(name, w, shape) for name, w in weights.items()}


def write_checkpoint(
    folder: Path,
    shape: TinyShape,
    weights: dict[str, np.ndarray],
    *,
    kind: str = "f32",
    n_shards: int = 1,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config_of(shape)))
    there = {n: w.astype(DTYPES[kind]) for n, w in as_checkpoint(shape, weights).items()}
    if n_shards == 1:
        save_file(there, folder / "model.safetensors")
        return folder
    weight_map = {}
    for i in range(n_shards):
        name = f"model-{i + 1:05}-of-{n_shards:05}.safetensors"
        part = dict(list(there.items())[i::n_shards])
        save_file(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _name(name: str, shape: TinyShape) -> str:
    if name in ENDS:
        return ENDS[name]
    block, _, rest = name.removeprefix("blk.").partition(".")
    part, _, end = rest.rpartition(".")
    if shape.traits.is_gemma and part == "ffn_norm":
        return f"model.layers.{block}.pre_feedforward_layernorm.weight"
    return f"model.layers.{block}.{PARTS[part]}.{end}"


def _laid_out(name: str, weight: np.ndarray, shape: TinyShape) -> np.ndarray:
    if shape.traits.is_gemma and weight.ndim == 1:
        return weight - np.float32(1)
    heads = {"attn_q.weight": shape.n_heads, "attn_k.weight": shape.n_kv_heads}
    n_heads = heads.get(name.split(".", 2)[-1])
    if not n_heads or shape.traits.pairs_halves:
        return weight
    # Rows 0, 1, 2, 3, ... of a head in GGUF are 0, half, 1, half + 1, ... here.
    order = np.arange(shape.head_dim).reshape(-1, 2).T.ravel()
    return np.ascontiguousarray(weight.reshape(n_heads, shape.head_dim, -1)[:, order]).reshape(
        weight.shape
    )
