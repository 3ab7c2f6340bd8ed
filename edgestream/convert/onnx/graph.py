# SPDX-License-Identifier: Apache-2.0
"""A llama as nodes of ONNX, for the layouts that onnx_decoder.py describes."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgestream.convert.models.decoder_shape import DecoderConfig
from edgestream.convert.models.llama import Floats

BLOCK = 32  # weights that share a scale, as in GGUF's 4-bit types


def four_bit_blocks(weight: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """[n, k] to nibbles [n, k / 32, 16] and scales [n, k / 32]: weight = scale * (nibble - 8).

    The weight of the largest magnitude in a block becomes -8 exactly, as in GGUF's Q4_0.
    """
    blocks = weight.reshape(len(weight), -1, BLOCK)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    scales = extreme / np.float32(-8)
    steps = blocks / np.where(scales == 0, np.float32(1), scales)
    nibbles = np.clip(np.rint(steps) + 8, 0, 15).astype(np.uint8)
    return nibbles[..., 0::2] | nibbles[..., 1::2] << 4, scales[..., 0]


class DecoderGraph(abc.ABC):
    """Nodes and initializers in the order of computation; layouts differ in their attention."""

    def __init__(self, weights: dict[str, Floats], config: DecoderConfig, four_bit: bool) -> None:
        self.weights, self.config, self.four_bit = weights, config, four_bit
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def build(self) -> Any:
        """The GraphProto."""
        c = self.config
        x = "inputs_embeds"
        for i in range(c.n_layers):
            x = self._add(x, self._attention(x, i))
            x = self._add(x, self._feed_forward(x, f"model.layers.{i}."))
        self._linear(self._norm(x, "model.norm"), "lm_head", name="logits")
        return helper.make_graph(
            self.nodes, "decoder", self._inputs(), self._outputs(),
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )  # fmt: skip

    @abc.abstractmethod
    def _placement(self) -> list[Any]:
        """The inputs that say where rows go and what they see."""

    @abc.abstractmethod
    def _mixed(self, q: str, k: str, v: str, i: int) -> str:
        """Writes rows k, v to the ring of layer i and attends from rows q; all [1, T, widths]."""

    def _attention(self, x: str, i: int) -> str:
        c, at = self.config, f"model.layers.{i}.self_attn."
        x = self._norm(x, f"model.layers.{i}.input_layernorm")
        q = self._rotate(self._linear(x, at + "q_proj"), c.n_heads)
        k = self._rotate(self._linear(x, at + "k_proj"), c.n_kv_heads)
        v = self._linear(x, at + "v_proj")
        return self._linear(self._mixed(q, k, v, i), at + "o_proj")

    def _feed_forward(self, x: str, at: str) -> str:
        """Gated linear unit with SiLU (Shazeer 2020)."""
        x = self._norm(x, at + "post_attention_layernorm")
        gate = self._linear(x, at + "mlp.gate_proj")
        gate = self._node("Mul", gate, self._node("Sigmoid", gate))
        gated = self._node("Mul", gate, self._linear(x, at + "mlp.up_proj"))
        return self._linear(gated, at + "mlp.down_proj")

    def _linear(self, x: str, module: str, name: str = "") -> str:
        weight = self.weights[module + ".weight"]
        if not self.four_bit:
            return self._node("MatMul", x, self._constant(module, weight.T), name=name)
        nibbles, scales = four_bit_blocks(weight)
        stored = self._constant(module + ".q4", nibbles), self._constant(module + ".scales", scales)
        n, k = weight.shape
        # Level 4: activations in blocks of 8 bits, as ggml computes with 4-bit weights too.
        return self._node(
            "MatMulNBits", x, *stored, name=name, domain="com.microsoft", N=n, K=k, bits=4,
            block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip

    def _norm(self, x: str, module: str) -> str:
        scale = self._constant(module, self.weights[module + ".weight"])
        epsilon = self.config.rms_epsilon
        return self._node("RMSNormalization", x, scale, axis=-1, epsilon=epsilon)

    def _rotate(self, x: str, n_heads: int) -> str:
        return self._node("RotaryEmbedding", x, "rope_cos", "rope_sin", num_heads=n_heads)

    def _shape(self, x: str, *widths: int) -> str:
        shape = np.array([1, -1, *widths], np.int64)
        name = "shape." + ".".join(str(width) for width in widths)
        return self._node("Reshape", x, self._constant(name, shape))

    def _add(self, a: str, b: str) -> str:
        return self._node("Add", a, b)

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def _node(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"{op}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def _inputs(self) -> list[Any]:
        c = self.config
        angles = ("rows", c.head_dim // 2)
        return [
            value("inputs_embeds", 1, "rows", c.n_embd),
            value("rope_cos", 1, *angles),
            value("rope_sin", 1, *angles),
            *self._placement(),
            *self._ring("past_key_values"),
        ]

    def _outputs(self) -> list[Any]:
        return [value("logits", 1, "rows", self.config.n_vocab), *self._ring("present")]

    def _ring(self, name: str) -> list[Any]:
        c = self.config
        shape = (1, c.n_kv_heads, "slots", c.head_dim)
        return [
            value(f"{name}.{i}.{kind}", *shape)
            for i in range(c.n_layers)
            for kind in ("key", "value")
        ]


class RingGraph(DecoderGraph):
    """Layout B: TensorScatter into the ring, and Attention with a mask."""

    def _placement(self) -> list[Any]:
        return [
            value("write_index", 1, kind=TensorProto.INT64),
            value("attention_bias", 1, 1, "rows", "slots"),
        ]

    def _mixed(self, q: str, k: str, v: str, i: int) -> str:
        c, ring = self.config, []
        for kind, rows in (("key", k), ("value", v)):
            past, heads = f"past_key_values.{i}.{kind}", self._heads(rows, c.n_kv_heads)
            name = f"present.{i}.{kind}"
            ring.append(self._node("TensorScatter", past, heads, "write_index", name=name, axis=2))
        mixed = self._node("Attention", self._heads(q, c.n_heads), *ring, "attention_bias")
        rows = self._node("Transpose", mixed, perm=[0, 2, 1, 3])
        return self._shape(rows, c.n_heads * c.head_dim)

    def _heads(self, x: str, n_heads: int) -> str:
        """[1, T, n_heads * head_dim] to [1, n_heads, T, head_dim]."""
        split = self._shape(x, n_heads, self.config.head_dim)
        return self._node("Transpose", split, perm=[0, 2, 1, 3])


class SharedGraph(DecoderGraph):
    """Layout C: GroupQueryAttention, which writes into its own past and sees all of it."""

    def _placement(self) -> list[Any]:
        return [
            value("seqlens_k", 1, kind=TensorProto.INT32),
            value("total_sequence_length", kind=TensorProto.INT32),
        ]

    def _mixed(self, q: str, k: str, v: str, i: int) -> str:
        past = [f"past_key_values.{i}.{kind}" for kind in ("key", "value")]
        present = [f"present.{i}.{kind}" for kind in ("key", "value")]
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [q, k, v, *past, "seqlens_k", "total_sequence_length"],
                [f"mixed.{i}", *present],
                domain="com.microsoft",
                num_heads=self.config.n_heads,
                kv_num_heads=self.config.n_kv_heads,
            )
        )
        return f"mixed.{i}"


def value(name: str, *shape: int | str | None, kind: int = TensorProto.FLOAT) -> Any:
    """An input or output of a graph; names stand for lengths that the caller chooses."""
    return helper.make_tensor_value_info(name, kind, shape)
