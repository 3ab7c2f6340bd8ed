# SPDX-License-Identifier: Apache-2.0
"""Voxtral Realtime's audio encoder and projector as one streaming graph: 80 ms of mel to a row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.checkpoint import Checkpoint, taken
from edgestream.convert.onnx.graph import value
from edgestream.convert.onnx.stream import Floats, StreamGraph, WeightFile, WindowAttention
from edgestream.library.json_file import Fields
from edgestream.onnx.rope import inverse_frequencies

MAX_WIDTH, MAX_COUNT = 1 << 16, 1 << 10
GRAPH_LIMIT_BYTES = 2_000_000_000  # of weights; protobuf holds 2 GiB, nodes included
TOWER, PROJECTOR = "audio_tower.", "multi_modal_projector."


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Hyper-parameters; `group_rows` rows of the encoder make one of the decoder."""

    n_mels: int
    n_layers: int
    n_embd: int
    n_heads: int
    head_dim: int
    rms_epsilon: float
    window: int
    group_rows: int
    inv_freq: NDArray[np.float64]

    @classmethod
    def read(cls, config: Fields, group_rows: int) -> EncoderConfig:
        """From `audio_config` of config.json, where a missing key means the published value."""
        config.refuse("hidden_act", "silu")
        config.refuse("activation_function", "gelu")
        head_dim = config.integer("head_dim", 2, MAX_WIDTH, 64)
        return cls(
            n_mels=config.integer("num_mel_bins", 1, 512, 128),
            n_layers=config.integer("num_hidden_layers", 1, MAX_COUNT, 32),
            n_embd=config.integer("hidden_size", 1, MAX_WIDTH, 1280),
            n_heads=config.integer("num_attention_heads", 1, MAX_COUNT, 32),
            head_dim=head_dim,
            rms_epsilon=config.positive("rms_norm_eps", 1e-5),
            window=config.integer("sliding_window", 2, 1 << 16, 750),
            group_rows=group_rows,
            inv_freq=inverse_frequencies(config.data, head_dim),
        )

    @property
    def chunk_frames(self) -> int:
        """Mel frames of a chunk; the second convolution halves their rate."""
        return 2 * self.group_rows


class VoxtralGraph:
    """`mel` [1, chunk_frames, n_mels], log10 from -6.5 on, to `embeddings` [1, 1, width]."""

    def __init__(self, checkpoint: Checkpoint, config: EncoderConfig) -> None:
        self._checkpoint, self._config = checkpoint, config

    def write(self, path: Path) -> None:
        """Writes the graph, whole or not at all; beside it a file with weights beyond 2 GiB."""
        large = self._n_bytes() > GRAPH_LIMIT_BYTES
        weights = WeightFile(path.with_name(path.name + ".data")) if large else None
        g, c = StreamGraph(weights), self._config
        self._graph = g
        four = g.fixed(np.array(4, np.float32))
        x = g.node("Div", g.node("Add", "mel", four), four)  # Whisper's range
        x = g.node("Transpose", x, perm=[0, 2, 1])
        x = self._conv(self._conv(x, "conv1", 1), "conv2", 2)
        x = g.node("Transpose", x, perm=[0, 2, 1])
        window = WindowAttention(
            g, n_rows=c.group_rows, window=c.window, n_heads=c.n_heads, n_kv_heads=c.n_heads,
            head_dim=c.head_dim, inv_freq=c.inv_freq,
        )  # fmt: skip
        for i in range(c.n_layers):
            x = self._layer(x, f"{TOWER}layers.{i}.", window)
        x = g.reshape(self._norm(x, TOWER + "norm"), 1, 1, c.group_rows * c.n_embd)
        inner = g.node("Gelu", g.linear(x, self._take(PROJECTOR + "linear_1.weight")))
        last = self._take(PROJECTOR + "linear_2.weight")
        inputs = [value("mel", 1, c.chunk_frames, c.n_mels)]
        g.write(path, inputs, g.linear(inner, last), len(last))

    def _n_bytes(self) -> int:
        """Of all weights in float32."""
        shapes = self._checkpoint.shapes.items()
        mine = [shape for name, shape in shapes if name.startswith((TOWER, PROJECTOR))]
        return 4 * sum(math.prod(shape) for shape in mine)

    def _take(self, name: str) -> Floats:
        return taken(self._checkpoint, name).astype(np.float32)

    def _conv(self, x: str, name: str, stride: int) -> str:
        at = f"{TOWER}embedder.{name}."
        weight, bias = self._take(at + "weight"), self._take(at + "bias")
        return self._graph.node("Gelu", self._graph.causal_conv(x, weight, bias, stride=stride))

    def _layer(self, x: str, at: str, window: WindowAttention) -> str:
        g = self._graph
        normed = self._norm(x, at + "self_attn_layer_norm")
        q = self._linear(normed, at + "self_attn.q_proj", bias=True)
        k = self._linear(normed, at + "self_attn.k_proj")
        v = self._linear(normed, at + "self_attn.v_proj", bias=True)
        mixed = self._linear(window.mix(q, k, v), at + "self_attn.o_proj", bias=True)
        x = g.node("Add", x, mixed)
        normed = self._norm(x, at + "final_layer_norm")
        gate = self._linear(normed, at + "mlp.gate_proj")
        gate = g.node("Mul", gate, g.node("Sigmoid", gate))
        gated = g.node("Mul", gate, self._linear(normed, at + "mlp.up_proj"))
        return g.node("Add", x, self._linear(gated, at + "mlp.down_proj", bias=True))

    def _linear(self, x: str, at: str, *, bias: bool = False) -> str:
        added = self._take(at + ".bias") if bias else None
        return self._graph.linear(x, self._take(at + ".weight"), added)

    def _norm(self, x: str, at: str) -> str:
        g = self._graph
        mean = g.node("ReduceMean", g.node("Mul", x, x), g.integers(-1), keepdims=1)
        epsilon = g.fixed(np.array(self._config.rms_epsilon, np.float32))
        root = g.node("Sqrt", g.node("Add", mean, epsilon))
        return g.node("Mul", g.node("Div", x, root), g.fixed(self._take(at + ".weight")))
