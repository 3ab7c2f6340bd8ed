# SPDX-License-Identifier: Apache-2.0
"""What is converted: a llama's hyper-parameters and its weights under Hugging Face's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError
from edgestream.onnx.rope import inverse_frequencies

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LlamaConfig:
    """Hyper-parameters; `inv_freq` [head_dim / 2] turns a position into RoPE's angles."""

    n_layers: int
    n_embd: int
    n_ff: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    n_vocab: int
    rms_epsilon: float
    inv_freq: tuple[float, ...]
    token_texts: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any]) -> LlamaConfig:
        """From the keys of a `config.json`; refuses what the writers do not write."""
        kind = config.get("model_type")
        bias = [key for key in ("attention_bias", "mlp_bias") if config.get(key)]
        activation = config.get("hidden_act", "silu")
        if kind != "llama" or bias or activation != "silu":
            met = f"{bias[0]} is set" if bias else f"model_type {kind!r} with {activation!r}"
            raise ModelError(f"config: {met}; written are llamas without biases, with 'silu'")
        n_heads = int(config["num_attention_heads"])
        head_dim = int(config.get("head_dim") or config["hidden_size"] // n_heads)
        return cls(
            n_layers=int(config["num_hidden_layers"]),
            n_embd=int(config["hidden_size"]),
            n_ff=int(config["intermediate_size"]),
            n_heads=n_heads,
            n_kv_heads=int(config.get("num_key_value_heads") or n_heads),
            head_dim=head_dim,
            n_vocab=int(config["vocab_size"]),
            rms_epsilon=float(config["rms_norm_eps"]),
            inv_freq=tuple(inverse_frequencies(config, head_dim).tolist()),
        )

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape [output, input] of every weight; `lm_head.weight` may be missing: tied."""
        d, f, q, kv = (
            self.n_embd, self.n_ff, self.n_heads * self.head_dim, self.n_kv_heads * self.head_dim,
        )  # fmt: skip
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.n_vocab, d),
            "model.norm.weight": (d,),
            "lm_head.weight": (self.n_vocab, d),
        }
        for i in range(self.n_layers):
            layer = {
                "input_layernorm": (d,), "post_attention_layernorm": (d,),
                "self_attn.q_proj": (q, d), "self_attn.k_proj": (kv, d),
                "self_attn.v_proj": (kv, d), "self_attn.o_proj": (d, q),
                "mlp.gate_proj": (f, d), "mlp.up_proj": (f, d), "mlp.down_proj": (d, f),
            }  # fmt: skip
            shapes |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
        return shapes


def checked_weights(weights: Mapping[str, Any], config: LlamaConfig) -> dict[str, Floats]:
    """All weights as float32 arrays; a tied output is the embedding.

    `weights` maps Hugging Face's names to arrays or to PyTorch tensors (a `state_dict`).

    Raises:
        ModelError: one is missing or has another shape.
    """
    checked = {}
    for name, shape in config.weight_shapes().items():
        tied = name == "lm_head.weight" and name not in weights
        source = "model.embed_tokens.weight" if tied else name
        if source not in weights:
            raise ModelError(f"weights: {source} is missing")
        checked[name] = _float32(weights[source])
        if checked[name].shape != shape:
            raise ModelError(f"weights: {source} has the shape {checked[name].shape}, not {shape}")
        if not np.isfinite(checked[name]).all():
            raise ModelError(f"weights: {source} holds a number that is not finite")
    return checked


def _float32(weight: Any) -> Floats:
    if hasattr(weight, "detach"):  # a tensor, perhaps of a type that numpy has not
        weight = weight.detach().to("cpu").float().numpy()
    return np.asarray(weight, np.float32)
