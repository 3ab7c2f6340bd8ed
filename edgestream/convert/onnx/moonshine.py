# SPDX-License-Identifier: Apache-2.0
"""A Moonshine checkpoint as ONNX encoder and merged decoder (Jeffries et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgestream.convert.onnx.graph import value
from edgestream.convert.onnx.speech import Floats, SpeechGraph
from edgestream.convert.onnx.speech_decoder import SpeechDecoderGraph

ROPE_THETA, ROTARY_PART = 10000.0, 0.9  # where config.json does not say


def write_moonshine(
    config: Mapping[str, Any],
    tensors: Mapping[str, Floats],
    folder: Path,
    *,
    quant: str = "f32",
) -> None:
    """Writes encoder_model.onnx and decoder_model_merged.onnx from transformers' tensors.

    `config` is config.json; names are those of MoonshineForConditionalGeneration;
    `quant` is a type of weights of speech.py. Keys have as many heads as queries, as in the
    published models.
    """
    g = SpeechGraph(tensors, config["encoder_num_attention_heads"], quant=quant)
    _write_encoder(config, g, folder / "encoder_model.onnx")
    g = SpeechDecoderGraph(tensors, config["decoder_num_attention_heads"], quant=quant)
    _write_decoder(config, g, folder / "decoder_model_merged.onnx")


def _write_encoder(config: Mapping[str, Any], g: SpeechGraph, path: Path) -> None:
    at = "model.encoder."
    x = g.node("Unsqueeze", "input_values", g.integers(1))
    x = g.node("Tanh", g.conv(x, at + "conv1", stride=64))
    x = _group_norm(g, x, at + "groupnorm")
    x = g.node("Gelu", g.conv(x, at + "conv2", stride=3))
    x = g.node("Gelu", g.conv(x, at + "conv3", stride=2))
    x = g.node("Transpose", x, perm=[0, 2, 1])
    n_rows = g.node("Squeeze", g.node("Shape", x, start=1, end=2))
    rope = _Rope(g, config, g.constant("zero", np.array(0, np.int64)), n_rows)
    for i in range(config["encoder_num_hidden_layers"]):
        layer = f"{at}layers.{i}."
        y = g.norm(x, layer + "input_layernorm")
        q, k, v = (g.heads(g.linear(y, f"{layer}self_attn.{p}_proj")) for p in "qkv")
        mixed = g.attend(rope.turn(q), rope.turn(k), v)
        x = g.node("Add", x, g.linear(mixed, layer + "self_attn.o_proj"))
        y = g.node(
            "Gelu", g.linear(g.norm(x, layer + "post_attention_layernorm"), layer + "mlp.fc1")
        )
        x = g.node("Add", x, g.linear(y, layer + "mlp.fc2"))
    g.node("Identity", g.norm(x, at + "layer_norm"), name="last_hidden_state")
    states = value("last_hidden_state", 1, "encoder_rows", config["hidden_size"])
    g.save(path, [value("input_values", 1, "samples")], [states])


def _write_decoder(config: Mapping[str, Any], g: SpeechDecoderGraph, path: Path) -> None:
    at = "model.decoder."
    n_past = g.past_rows()
    bias = g.causal_bias(n_past)
    n_rows = g.node("Squeeze", g.node("Shape", "input_ids", start=1, end=2))
    rope = _Rope(g, config, n_past, g.node("Add", n_past, n_rows))
    x = g.looked_up("input_ids", at + "embed_tokens.weight")
    for i in range(config["decoder_num_hidden_layers"]):
        layer = f"{at}layers.{i}."
        y = g.norm(x, layer + "input_layernorm")
        q, k, v = (g.heads(g.few(y, f"{layer}self_attn.{p}_proj")) for p in "qkv")
        k, v = g.remembered(i, "key", rope.turn(k)), g.remembered(i, "value", v)
        mixed = g.attend(rope.turn(q), k, v, bias)
        x = g.node("Add", x, g.few(mixed, layer + "self_attn.o_proj"))
        y = g.norm(x, layer + "post_attention_layernorm")
        q = g.heads(g.few(y, layer + "encoder_attn.q_proj"))
        mixed = g.attend_across(i, q, layer + "encoder_attn.")
        x = g.node("Add", x, g.few(mixed, layer + "encoder_attn.o_proj"))
        x = g.node("Add", x, _gated(g, g.norm(x, layer + "final_layernorm"), layer + "mlp."))
    embeddings = at + "embed_tokens.weight"  # tied
    g.likeness(g.norm(x, at + "norm"), embeddings, "logits")
    n_layers, width = config["decoder_num_hidden_layers"], config["hidden_size"]
    g.save_decoder(path, n_layers, width, len(g.tensors[embeddings]))


def _gated(g: SpeechDecoderGraph, x: str, at: str) -> str:
    """Gated linear unit with SiLU; the second half of fc1 is the gate."""
    both = g.few(x, at + "fc1")
    half = len(g.tensors[at + "fc1.weight"]) // 2
    up, gate = (
        g.node("Slice", both, g.integers(i * half), g.integers((i + 1) * half), g.integers(2))
        for i in range(2)
    )
    gate = g.node("Mul", gate, g.node("Sigmoid", gate))
    return g.few(g.node("Mul", gate, up), at + "fc2")


def _group_norm(g: SpeechGraph, x: str, module: str) -> str:
    """Normalisation over all channels [1, channels, rows] as one group."""
    weight, bias = g.tensors[module + ".weight"], g.tensors[module + ".bias"]
    one, none = (g.constant(f"group.{i}", np.array([1 - i], np.float32)) for i in range(2))
    flat = g.node("Reshape", x, g.integers(1, 1, -1))
    flat = g.node("InstanceNormalization", flat, one, none, epsilon=1e-5)
    x = g.node("Reshape", flat, g.integers(1, len(weight), -1))
    x = g.node("Mul", x, g.constant(module + ".scale", weight[:, None]))
    return g.node("Add", x, g.constant(module + ".shift", bias[:, None]))


class _Rope:
    """Rotation of neighbouring pairs in the first part of each head, from position `first` on."""

    def __init__(self, g: SpeechGraph, config: Mapping[str, Any], first: str, end: str) -> None:
        self.g = g
        given = {**config, **(config.get("rope_parameters") or {})}
        self.n_turned = int(g.head_dim * given.get("partial_rotary_factor", ROTARY_PART))
        theta = float(given.get("rope_theta", ROPE_THETA))
        exponents = np.arange(0, self.n_turned, 2, dtype=np.float32) / self.n_turned
        frequencies = g.constant("rope.frequencies", (1 / theta**exponents).astype(np.float32))
        one = g.constant("one", np.array(1, np.int64))
        places = g.node("Cast", g.node("Range", first, end, one), to=1)
        angles = g.node("Mul", g.node("Unsqueeze", places, g.integers(1)), frequencies)
        self.cos, self.sin = g.node("Cos", angles), g.node("Sin", angles)

    def turn(self, x: str) -> str:
        """[1, n_heads, n, head_dim], turned."""
        g, n = self.g, self.n_turned
        even, odd = (
            g.node("Slice", x, g.integers(i), g.integers(n), g.integers(3), g.integers(2))
            for i in range(2)
        )
        real = g.node("Sub", g.node("Mul", even, self.cos), g.node("Mul", odd, self.sin))
        imaginary = g.node("Add", g.node("Mul", odd, self.cos), g.node("Mul", even, self.sin))
        pairs = [g.node("Unsqueeze", part, g.integers(4)) for part in (real, imaginary)]
        turned = g.node("Reshape", g.node("Concat", *pairs, axis=4), g.integers(0, 0, 0, n))
        rest = g.node("Slice", x, g.integers(n), g.integers(g.head_dim), g.integers(3))
        return g.node("Concat", turned, rest, axis=3)
