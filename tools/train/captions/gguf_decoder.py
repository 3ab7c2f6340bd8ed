# SPDX-License-Identifier: Apache-2.0
"""Writes the decoder as a GGUF file of the llama architecture, matrices in Q8_0."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import gguf
import torch
from decoder import Decoder, Layer
from encoder import RmsNorm
from shape import PAD, STEP_S, Shape
from torch import Tensor

Q8_0 = gguf.GGMLQuantizationType.Q8_0
NORMAL_TOKEN, CONTROL_TOKEN = 1, 3  # llama.cpp's token types
CONTEXT_TOKENS = 4096


class LayerShape(Protocol):
    """Hyper-parameters of a llama-shaped decoder."""

    n_layers: int
    width: int
    ffn: int
    n_heads: int
    n_kv_heads: int
    head_width: int
    rope_base: float


def write_decoder(decoder: Decoder, vocabulary: list[str], path: Path) -> None:
    """Writes `decoder` with the texts of its `n_text` tokens to `path`."""
    shape = decoder.shape
    if len(vocabulary) != shape.n_text:
        raise ValueError(f"{path}: {len(vocabulary)} token texts for {shape.n_text} tokens")
    writer = gguf.GGUFWriter(str(path), "llama")
    write_sizes(writer, "edgestream synthetic-en", shape)
    _write_streaming(writer, shape)
    _write_tokens(writer, shape, vocabulary)
    spare_rows = torch.zeros(2 + shape.n_delays, shape.width)  # never chosen, but ggml wants a row
    write_matrix(writer, "token_embd", torch.cat([decoder.tokens.weight, decoder.delays.weight]))
    write_matrix(writer, "output", torch.cat([decoder.head.weight, spare_rows]))
    write_layers(writer, decoder.layers, decoder.norm, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_layers(
    writer: gguf.GGUFWriter, layers: Iterable[Layer], norm: RmsNorm, shape: LayerShape
) -> None:
    """All layers and the norm behind them."""
    write_vector(writer, "output_norm", norm)
    for i, layer in enumerate(layers):
        block = f"blk.{i}."
        write_vector(writer, block + "attn_norm", layer.norm_attn)
        write_vector(writer, block + "ffn_norm", layer.norm_ffn)
        write_matrix(writer, block + "attn_q", interleave(layer.q.weight, shape.n_heads))
        write_matrix(writer, block + "attn_k", interleave(layer.k.weight, shape.n_kv_heads))
        for name, part in [("attn_v", layer.v), ("attn_output", layer.o), ("ffn_gate", layer.gate),
                           ("ffn_up", layer.up), ("ffn_down", layer.down)]:  # fmt: skip
            write_matrix(writer, block + name, part.weight)


def write_sizes(writer: gguf.GGUFWriter, name: str, shape: LayerShape) -> None:
    """The hyper-parameters that every llama has."""
    writer.add_name(name)
    writer.add_license("Apache-2.0")
    writer.add_block_count(shape.n_layers)
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_layer_norm_rms_eps(RmsNorm.EPSILON)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_rope_dimension_count(shape.head_width)


def _write_streaming(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_uint32("edgestream.attention.sinks", shape.n_sinks)
    writer.add_uint32("edgestream.attention.window", shape.window)
    writer.add_uint32("edgestream.token.pad", PAD)
    writer.add_uint32("edgestream.token.bos", shape.bos)
    writer.add_uint32("edgestream.token.delay_0", shape.delay_0)
    writer.add_uint32("edgestream.text_tokens", shape.n_text)
    writer.add_float32("edgestream.frame_ms", STEP_S * 1000)


def _write_tokens(writer: gguf.GGUFWriter, shape: Shape, vocabulary: list[str]) -> None:
    control = ["<spare>", "<bos>", *(f"<delay_{k}>" for k in range(shape.n_delays))]
    n_rows = shape.n_text + len(control)
    writer.add_vocab_size(n_rows)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(vocabulary + control)
    writer.add_token_scores([0.0] * n_rows)
    writer.add_token_types([NORMAL_TOKEN] * shape.n_text + [CONTROL_TOKEN] * len(control))


def interleave(weight: Tensor, n_heads: int) -> Tensor:
    """Rows from the half-split rotary layout to the pairs that llama models use in ggml."""
    rows, width = weight.shape
    return weight.view(n_heads, 2, rows // n_heads // 2, width).swapaxes(1, 2).reshape(rows, width)


def write_matrix(writer: gguf.GGUFWriter, name: str, weight: Tensor) -> None:
    data = gguf.quants.quantize(weight.detach().float().contiguous().numpy(), Q8_0)
    writer.add_tensor(f"{name}.weight", data, raw_dtype=Q8_0)


def write_vector(writer: gguf.GGUFWriter, name: str, norm: RmsNorm) -> None:
    writer.add_tensor(f"{name}.weight", norm.weight.detach().float().numpy())
