# SPDX-License-Identifier: Apache-2.0
"""A GGUF llama as hyper-parameters and weights under Hugging Face's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgestream.convert.models.decoder_config import DecoderConfig, RopeConfig
from edgestream.convert.models.llama import LLAMA, Floats, LlamaConfig
from edgestream.errors import ModelError

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
ENDS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def read_gguf_llama(path: Path) -> tuple[dict[str, Floats], LlamaConfig]:
    """Weights as float32, dequantized, and hyper-parameters with the tokens' texts.

    Raises:
        ModelError: not a GGUF file, or not a llama; the message names what was met.
    """
    import gguf

    try:
        reader = gguf.GGUFReader(path)
    except Exception as error:  # gguf raises what its parsing of a damaged file runs into
        raise ModelError(f"{path}: not a readable GGUF file ({error})") from None
    fields = {name: field.contents() for name, field in reader.fields.items()}
    if fields.get("general.architecture") != "llama":
        raise ModelError(
            f"{path}: architecture {fields.get('general.architecture')!r}; converted is 'llama'"
        )
    tensors = {
        t.name: gguf.quants.dequantize(t.data, t.tensor_type).reshape(tuple(t.shape[::-1]))
        for t in reader.tensors
    }
    config = _config(fields, tensors)
    return _renamed(tensors, config.decoder, path), config


def _config(fields: dict[str, Any], tensors: dict[str, Floats]) -> LlamaConfig:
    n_embd, n_heads = (
        int(fields["llama.embedding_length"]),
        int(fields["llama.attention.head_count"]),
    )
    head_dim = int(fields.get("llama.rope.dimension_count", n_embd // n_heads))
    factors = tuple(tensors.pop("rope_freqs.weight", np.empty(0)).tolist())
    decoder = DecoderConfig(
        architecture=LLAMA,
        n_layers=int(fields["llama.block_count"]),
        n_embd=n_embd,
        n_ff=int(fields["llama.feed_forward_length"]),
        n_heads=n_heads,
        n_kv_heads=int(fields.get("llama.attention.head_count_kv", n_heads)),
        head_dim=head_dim,
        n_vocab=len(tensors["token_embd.weight"]),
        rms_epsilon=float(fields["llama.attention.layer_norm_rms_epsilon"]),
        n_rows=int(fields.get("llama.context_length", 1)),
        tied="output.weight" not in tensors,
        rope=RopeConfig(float(fields.get("llama.rope.freq_base", 10000.0)), factors=factors),
    )
    return LlamaConfig(decoder, tuple(fields.get("tokenizer.ggml.tokens", ())))


def _renamed(tensors: dict[str, Floats], config: DecoderConfig, path: Path) -> dict[str, Floats]:
    weights = {}
    for name, values in tensors.items():
        block, _, part = name.removeprefix("blk.").removesuffix(".weight").partition(".")
        if name in ENDS:
            weights[ENDS[name]] = values
        elif block.isdecimal() and part in NAMES:
            heads = {"attn_q": config.n_heads, "attn_k": config.n_kv_heads}.get(part)
            values = _halves(values, heads) if heads else values
            weights[f"model.layers.{block}.{NAMES[part]}.weight"] = values
        else:
            raise ModelError(f"{path}: the tensor {name} is not of a llama that can be converted")
    return weights


def _halves(weight: Floats, n_heads: int) -> Floats:
    """Pairs of neighbours, which GGUF's llama turns, to pairs of halves, as Hugging Face has."""
    pairs = weight.reshape(n_heads, -1, 2, weight.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(weight.shape))
