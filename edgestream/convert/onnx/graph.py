# SPDX-License-Identifier: Apache-2.0
"""A llama as nodes of ONNX, for the layouts that decoder.py describes."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgestream.convert.models.decoder_config import DecoderConfig
from edgestream.convert.models.llama import Floats

MICROSOFT = "com.microsoft"  # domain of onnxruntime's own operators
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


class Graph:
    """Nodes and initializers in the order of computation; methods that add one return the name of
    its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}  # arrays, or TensorProtos of types that numpy has not

    def node(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """One operator with one output."""
        output = name or f"{op}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """An initializer; the same name is the same array."""
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def integers(self, *numbers: int) -> str:
        """A vector of int64."""
        name = "integers." + ".".join(map(str, numbers))
        return self.constant(name, np.array(numbers, np.int64))

    def four_bits(self, x: str, stored: str, weight: Floats, name: str = "") -> str:
        """x @ weight.T in blocks of 4 bits; activations are rounded to 8 bits, block by block, as
        ggml computes with 4-bit weights too (level 4)."""
        nibbles, scales = four_bit_blocks(weight)
        blocks = self.constant(stored + ".q4", nibbles), self.constant(stored + ".scales", scales)
        return self.in_blocks(x, *blocks, shape=weight.shape, bits=4, block_size=BLOCK, name=name)

    def in_blocks(
        self, x: str, *blocks: str, shape: tuple[int, ...], bits: int, block_size: int, name: str
    ) -> str:
        """x @ weight.T of a weight of this shape [n, k], stored as codes and scales."""
        return self.node(
            "MatMulNBits", x, *blocks, name=name, domain=MICROSOFT, N=shape[0], K=shape[1],
            bits=bits, block_size=block_size, accuracy_level=4,
        )  # fmt: skip

    def build(self, name: str, inputs: list[Any], outputs: list[Any]) -> Any:
        """The GraphProto."""
        initializers = [
            array if isinstance(array, TensorProto) else numpy_helper.from_array(array, key)
            for key, array in self.constants.items()
        ]
        return helper.make_graph(self.nodes, name, inputs, outputs, initializers)


class DecoderGraph(Graph, abc.ABC):
    """A llama; layouts differ in their attention."""

    def __init__(self, weights: dict[str, Floats], config: DecoderConfig, four_bit: bool) -> None:
        super().__init__()
        self.weights, self.config, self.four_bit = weights, config, four_bit

    def whole(self) -> Any:
        """The GraphProto."""
        c = self.config
        x = "inputs_embeds"
        for i in range(c.n_layers):
            x = self.node("Add", x, self._attention(x, i))
            x = self.node("Add", x, self._feed_forward(x, f"model.layers.{i}."))
        self._linear(self._norm(x, "model.norm"), "lm_head", name="logits")
        return self.build("decoder", self._inputs(), self._outputs())

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
        gate = self.node("Mul", gate, self.node("Sigmoid", gate))
        gated = self.node("Mul", gate, self._linear(x, at + "mlp.up_proj"))
        return self._linear(gated, at + "mlp.down_proj")

    def _linear(self, x: str, module: str, name: str = "") -> str:
        weight = self.weights[module + ".weight"]
        if not self.four_bit:
            return self.node("MatMul", x, self.constant(module, weight.T), name=name)
        return self.four_bits(x, module, weight, name)

    def _norm(self, x: str, module: str) -> str:
        scale = self.constant(module, self.weights[module + ".weight"])
        epsilon = self.config.rms_epsilon
        return self.node("RMSNormalization", x, scale, axis=-1, epsilon=epsilon)

    def _rotate(self, x: str, n_heads: int) -> str:
        return self.node("RotaryEmbedding", x, "rope_cos", "rope_sin", num_heads=n_heads)

    def _shape(self, x: str, *widths: int) -> str:
        shape = np.array([1, -1, *widths], np.int64)
        name = "shape." + ".".join(str(width) for width in widths)
        return self.node("Reshape", x, self.constant(name, shape))

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
            ring.append(self.node("TensorScatter", past, heads, "write_index", name=name, axis=2))
        mixed = self.node("Attention", self._heads(q, c.n_heads), *ring, "attention_bias")
        rows = self.node("Transpose", mixed, perm=[0, 2, 1, 3])
        return self._shape(rows, c.n_heads * c.head_dim)

    def _heads(self, x: str, n_heads: int) -> str:
        """[1, T, n_heads * head_dim] to [1, n_heads, T, head_dim]."""
        split = self._shape(x, n_heads, self.config.head_dim)
        return self.node("Transpose", split, perm=[0, 2, 1, 3])


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
                domain=MICROSOFT,
                num_heads=self.config.n_heads,
                kv_num_heads=self.config.n_kv_heads,
            )
        )
        return f"mixed.{i}"


def value(name: str, *shape: int | str | None, kind: int = TensorProto.FLOAT) -> Any:
    """An input or output of a graph; names stand for lengths that the caller chooses."""
    return helper.make_tensor_value_info(name, kind, shape)
