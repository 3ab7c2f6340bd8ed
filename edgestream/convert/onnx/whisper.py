# SPDX-License-Identifier: Apache-2.0
"""A Whisper checkpoint as ONNX encoder and merged decoder (Radford et al. 2022).

The encoder slices its positions: it hears windows shorter than 30 s without padding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgestream.convert.onnx.graph import value
from edgestream.convert.onnx.speech import Floats, SpeechGraph
from edgestream.convert.onnx.speech_decoder import SpeechDecoderGraph


def write_whisper(
    config: Mapping[str, Any],
    tensors: Mapping[str, Floats],
    folder: Path,
    *,
    quant: str = "f32",
) -> None:
    """Writes encoder_model.onnx and decoder_model_merged.onnx from transformers' tensors.

    `config` is config.json; names are those of WhisperForConditionalGeneration;
    `quant` is a type of weights of speech.py.
    """
    g = SpeechGraph(tensors, config["encoder_attention_heads"], quant=quant)
    _write_encoder(config, g, folder / "encoder_model.onnx")
    g = SpeechDecoderGraph(tensors, config["decoder_attention_heads"], quant=quant)
    _write_decoder(config, g, folder / "decoder_model_merged.onnx")


def _write_encoder(config: Mapping[str, Any], g: SpeechGraph, path: Path) -> None:
    at = "model.encoder."
    x = g.node("Transpose", "input_features", perm=[0, 2, 1])
    x = g.node("Gelu", g.conv_rows(x, at + "conv1", stride=1))
    x = g.node("Gelu", g.conv_rows(x, at + "conv2", stride=2))
    n_rows = g.node("Shape", x, start=1, end=2)
    positions = g.weight(at + "embed_positions.weight")
    x = g.node("Add", x, g.node("Slice", positions, g.integers(0), n_rows, g.integers(0)))
    for i in range(config["encoder_layers"]):
        layer = f"{at}layers.{i}."
        y = g.norm(x, layer + "self_attn_layer_norm")
        q, k, v = (g.linear(y, f"{layer}self_attn.{p}_proj") for p in "qkv")
        x = g.node("Add", x, g.linear(g.mix(q, k, v), layer + "self_attn.out_proj"))
        x = _feed_forward(g, x, layer)
    g.node("Identity", g.norm(x, at + "layer_norm"), name="last_hidden_state")
    inputs = [value("input_features", 1, config["num_mel_bins"], "frames")]
    g.save(path, inputs, [value("last_hidden_state", 1, "encoder_rows", config["d_model"])])


def _write_decoder(config: Mapping[str, Any], g: SpeechDecoderGraph, path: Path) -> None:
    at = "model.decoder."
    n_past = g.past_rows()
    bias = g.causal_bias(n_past)
    x = g.looked_up("input_ids", at + "embed_tokens.weight")
    ends = g.node("Add", n_past, g.node("Shape", "input_ids", start=1, end=2))
    start = g.node("Unsqueeze", n_past, g.integers(0))
    positions = g.weight(at + "embed_positions.weight")
    x = g.node("Add", x, g.node("Slice", positions, start, ends, g.integers(0)))
    for i in range(config["decoder_layers"]):
        layer = f"{at}layers.{i}."
        y = g.norm(x, layer + "self_attn_layer_norm")
        q, k, v = (g.heads(g.few(y, f"{layer}self_attn.{p}_proj")) for p in "qkv")
        mixed = g.attend(q, g.remembered(i, "key", k), g.remembered(i, "value", v), bias)
        x = g.node("Add", x, g.few(mixed, layer + "self_attn.out_proj"))
        q = g.heads(
            g.few(g.norm(x, layer + "encoder_attn_layer_norm"), layer + "encoder_attn.q_proj")
        )
        mixed = g.attend_across(i, q, layer + "encoder_attn.")
        x = g.node("Add", x, g.few(mixed, layer + "encoder_attn.out_proj"))
        x = _feed_forward(g, x, layer, few_rows=True)
    embeddings = at + "embed_tokens.weight"  # tied
    g.likeness(g.norm(x, at + "layer_norm"), embeddings, "logits")
    n_vocab = len(g.tensors[embeddings])
    g.save_decoder(path, config["decoder_layers"], config["d_model"], n_vocab)


def _feed_forward(g: SpeechGraph, x: str, layer: str, *, few_rows: bool = False) -> str:
    y = g.norm(x, layer + "final_layer_norm")
    y = g.node("Gelu", g.linear(y, layer + "fc1", few_rows=few_rows))
    return g.node("Add", x, g.linear(y, layer + "fc2", few_rows=few_rows))
