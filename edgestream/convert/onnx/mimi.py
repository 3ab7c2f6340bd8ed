# SPDX-License-Identifier: Apache-2.0
"""Mimi's encoder with the embeddings of its codes as one streaming graph.

Mimi (Defossez et al. 2024, "Moshi: a speech-text foundation model for real-time dialogue") turns
24 kHz samples into 12.5 frames a second, each one code of every codebook. What a speech model reads
of a frame is the sum of its codes' embeddings, so the graph ends with that sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgestream.convert.checkpoint import Checkpoint, taken
from edgestream.convert.onnx.graph import value
from edgestream.convert.onnx.stream import Floats, StreamGraph, WindowAttention
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields
from edgestream.onnx.rope import inverse_frequencies

SAMPLE_RATE_HZ = 24000
MAX_WIDTH, MAX_COUNT = 1 << 16, 1 << 10
PREFIX, TABLES = "codec_model.", "tables"  # before the names of Mimi's tensors; of the codes' rows


@dataclass(frozen=True)
class MimiConfig:
    """Hyper-parameters under the names of a config.json."""

    hidden_size: int
    upsampling_ratios: tuple[int, ...]
    num_residual_layers: int
    dilation_growth_rate: int
    use_conv_shortcut: bool
    num_quantizers: int  # codebooks
    num_semantic_quantizers: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    norm_eps: float
    sliding_window: int
    codebook_size: int
    inv_freq: NDArray[np.float64]

    @classmethod
    def read(cls, config: Fields) -> MimiConfig:
        """From `codec_config` of a config.json, where a missing key means Mimi's own value.

        Raises:
            ModelError: a value is out of range, or asks for what the graph does not compute.
        """
        config.refuse("model_type", "mimi")
        config.refuse("use_causal_conv", True)
        config.refuse("audio_channels", 1)
        config.refuse("sampling_rate", SAMPLE_RATE_HZ)
        config.refuse("hidden_act", "gelu")
        config.refuse("attention_bias", False)
        config.refuse("pad_mode", "constant")
        hidden_size = config.integer("hidden_size", 1, MAX_WIDTH, 512)
        n_heads = config.integer("num_attention_heads", 1, MAX_COUNT, 8)
        head_dim = config.integer("head_dim", 2, MAX_WIDTH, max(2, hidden_size // n_heads))
        n_books = config.integer("num_quantizers", 1, MAX_COUNT, 32)
        ratios = config.get("upsampling_ratios", list, [8, 6, 5, 4])
        if not all(type(ratio) is int and 1 <= ratio <= 64 for ratio in ratios) or len(ratios) > 8:
            raise ModelError(f"{config.where}: upsampling_ratios {ratios!r:.80} are not usable")
        return cls(
            hidden_size=hidden_size,
            upsampling_ratios=tuple(ratios),
            num_residual_layers=config.integer("num_residual_layers", 1, 16, 1),
            dilation_growth_rate=config.integer("dilation_growth_rate", 1, 16, 2),
            use_conv_shortcut=config.flag("use_conv_shortcut", False),
            num_quantizers=n_books,
            num_semantic_quantizers=config.integer("num_semantic_quantizers", 1, n_books, 1),
            num_hidden_layers=config.integer("num_hidden_layers", 1, MAX_COUNT, 8),
            num_attention_heads=n_heads,
            num_key_value_heads=config.integer("num_key_value_heads", 1, n_heads, 8),
            head_dim=head_dim,
            norm_eps=config.positive("norm_eps", 1e-5),
            sliding_window=config.integer("sliding_window", 2, 1 << 16, 250),
            codebook_size=config.integer("codebook_size", 1, 1 << 20, 2048),
            inv_freq=inverse_frequencies(config.data, head_dim),
        )

    @property
    def frame_size(self) -> int:
        """Samples of a frame; the last convolution halves the rate of the others."""
        return 2 * int(np.prod(self.upsampling_ratios))


class MimiGraph:
    """`samples` [1, frame_size, 1] to `embeddings` [1, 1, n_embd]."""

    def __init__(self, checkpoint: Checkpoint, config: MimiConfig) -> None:
        self._checkpoint, self._config, self._graph = checkpoint, config, StreamGraph()

    def write(self, path: Path, tables: Floats) -> None:
        """Writes the graph that ends with `tables` [num_quantizers, any, n_embd] of the codes."""
        g, c = self._graph, self._config
        x = g.reshape("samples", 1, 1, c.frame_size)
        x = self._seanet(x)
        window = WindowAttention(
            g, n_rows=2, window=c.sliding_window, n_heads=c.num_attention_heads,
            n_kv_heads=c.num_key_value_heads, head_dim=c.head_dim, inv_freq=c.inv_freq,
        )  # fmt: skip
        x = g.node("Transpose", x, perm=[0, 2, 1])
        for i in range(c.num_hidden_layers):
            x = self._layer(x, f"encoder_transformer.layers.{i}.", window)
        x = g.node("Transpose", x, perm=[0, 2, 1])
        weight = self._take("downsample.conv.weight")
        x = g.causal_conv(x, weight, None, stride=2, first=window.first)
        codes = self._codes(g.reshape(x, 1, c.hidden_size))
        inputs = [value("samples", 1, c.frame_size, 1)]
        g.write(path, inputs, self._embeddings(codes, tables), tables.shape[2])

    def _take(self, name: str) -> Floats:
        return taken(self._checkpoint, PREFIX + name).astype(np.float32)

    def _seanet(self, x: str) -> str:
        """Convolutions that take samples down to 25 rows a second."""
        c, g = self._config, self._graph
        x = self._conv(x, "encoder.layers.0")
        i = 1
        for ratio in reversed(c.upsampling_ratios):
            for j in range(c.num_residual_layers):
                x = self._residual(x, f"encoder.layers.{i}.", c.dilation_growth_rate**j)
                i += 1
            x = self._conv(g.node("Elu", x), f"encoder.layers.{i + 1}", stride=ratio)
            i += 2
        return self._conv(g.node("Elu", x), f"encoder.layers.{i + 1}")

    def _residual(self, x: str, at: str, dilation: int) -> str:
        g = self._graph
        inner = self._conv(g.node("Elu", x), at + "block.1", dilation=dilation)
        inner = self._conv(g.node("Elu", inner), at + "block.3")
        if self._config.use_conv_shortcut:
            x = self._conv(x, at + "shortcut")
        return g.node("Add", x, inner)

    def _conv(self, x: str, at: str, *, stride: int = 1, dilation: int = 1) -> str:
        weight, bias = self._take(f"{at}.conv.weight"), self._take(f"{at}.conv.bias")
        return self._graph.causal_conv(x, weight, bias, stride=stride, dilation=dilation)

    def _layer(self, x: str, at: str, window: WindowAttention) -> str:
        g, take = self._graph, self._take
        normed = self._norm(x, at + "input_layernorm")
        q, k, v = (
            g.linear(normed, take(f"{at}self_attn.{part}_proj.weight")) for part in ("q", "k", "v")
        )
        mixed = g.linear(window.mix(q, k, v), take(at + "self_attn.o_proj.weight"))
        x = self._add_scaled(x, mixed, at + "self_attn_layer_scale.scale")
        normed = self._norm(x, at + "post_attention_layernorm")
        inner = g.node("Gelu", g.linear(normed, take(at + "mlp.fc1.weight")))
        outer = g.linear(inner, take(at + "mlp.fc2.weight"))
        return self._add_scaled(x, outer, at + "mlp_layer_scale.scale")

    def _norm(self, x: str, at: str) -> str:
        parts = [self._graph.fixed(self._take(f"{at}.{name}")) for name in ("weight", "bias")]
        epsilon = self._config.norm_eps
        return self._graph.node("LayerNormalization", x, *parts, epsilon=epsilon, axis=-1)

    def _add_scaled(self, x: str, change: str, scale: str) -> str:
        g = self._graph
        return g.node("Add", x, g.node("Mul", change, g.fixed(self._take(scale))))

    def _codes(self, x: str) -> list[str]:
        """The row x [1, hidden_size] quantized: a code [1] of every codebook, int64."""
        c, codes = self._config, []
        n_acoustic = c.num_quantizers - c.num_semantic_quantizers
        for kind, n in (("semantic", c.num_semantic_quantizers), ("acoustic", n_acoustic)):
            at = f"quantizer.{kind}_residual_vector_quantizer."
            projection = self._take(at + "input_proj.weight")[:, :, 0]
            codes += self._residual_codes(self._graph.linear(x, projection), at, n)
        return codes

    def _residual_codes(self, rest: str, at: str, n: int) -> list[str]:
        """The nearest entry of each book in turn, to what the books before have left over."""
        g, codes = self._graph, []
        for i in range(n):
            book = self._codebook(f"{at}layers.{i}.codebook.")
            # |x - e|^2 is least where x e - |e|^2 / 2 is greatest.
            half = g.fixed((np.square(book).sum(1) / 2).astype(np.float32))
            nearness = g.node("Sub", g.linear(rest, book), half)
            codes.append(g.node("ArgMax", nearness, axis=1, keepdims=0))
            if i + 1 < n:
                rest = g.node("Sub", rest, g.node("Gather", g.fixed(book), codes[-1]))
        return codes

    def _codebook(self, at: str) -> Floats:
        usage = np.maximum(self._take(at + "cluster_usage"), np.float32(1e-5))
        return np.divide(self._take(at + "embed_sum"), usage[:, None], dtype=np.float32)

    def _embeddings(self, codes: list[str], tables: Floats) -> str:
        """The sum of the codes' rows: [1, 1, n_embd]."""
        g, (n_books, n_codes, n_embd) = self._graph, tables.shape
        starts = np.arange(n_books, dtype=np.int64) * n_codes
        rows = g.node("Add", g.node("Concat", *codes, axis=0), g.fixed(starts))
        table = g.fixed(_shortest(tables.reshape(-1, n_embd)), TABLES)
        found = g.node("Cast", g.node("Gather", table, rows), to=TensorProto.FLOAT)
        total = g.node("ReduceSum", found, g.integers(0), keepdims=1)
        return g.reshape(total, 1, 1, n_embd)


def _shortest(table: Floats) -> Any:
    """As bfloat16, in which checkpoints are published, where that loses nothing."""
    bits = np.ascontiguousarray(table).view(np.uint32)
    if (bits & 0xFFFF).any():
        return table
    halves = (bits >> 16).astype("<u2").tobytes()
    return helper.make_tensor(TABLES, TensorProto.BFLOAT16, table.shape, halves, raw=True)
