# SPDX-License-Identifier: Apache-2.0
"""Encoder-decoders for speech as ONNX, in the layout of the public exports.

What their graphs have in common: linear layers, norms, attention, and the merged decoder whose
branch without a cache computes keys and values of the encoder's states, and which also gives its
attention to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgestream.convert.onnx_graph import BLOCK, four_bit_blocks
from edgestream.speech_weights import CROSS_ATTENTIONS

Floats = NDArray[np.float32]
MICROSOFT = "com.microsoft"  # domain of onnxruntime's own operators
OPSET = 20
IR_VERSION = 9


class SpeechGraph:
    """Nodes and initializers in the order of computation, over a checkpoint's tensors.

    With `four_bit` matrices are stored in blocks of 32 weights of 4 bits where their rows allow it.
    """

    def __init__(
        self, tensors: Mapping[str, Floats], n_heads: int, *, four_bit: bool = False
    ) -> None:
        self.tensors, self.n_heads, self.four_bit = tensors, n_heads, four_bit
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def node(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name."""
        output = name or f"{op}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """An initializer; the same name is the same array."""
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def integers(self, *numbers: int) -> str:
        """A list of int64."""
        name = "integers." + ".".join(map(str, numbers))
        return self.constant(name, np.array(numbers, np.int64))

    def weight(self, name: str) -> str:
        """A tensor of the checkpoint."""
        return self.constant(name, self.tensors[name])

    def linear(self, x: str, module: str) -> str:
        """x @ weight.T + bias, where there is one."""
        x = self.product(x, module + ".weight", self.tensors[module + ".weight"])
        bias = module + ".bias"
        return self.node("Add", x, self.weight(bias)) if bias in self.tensors else x

    def product(self, x: str, stored: str, weight: Floats, name: str = "") -> str:
        """x @ weight.T; the weight [n, k] is `stored` under that name."""
        n, k = weight.shape
        if not self.four_bit or k % BLOCK:
            return self.node("MatMul", x, self.constant(stored + ".T", weight.T), name=name)
        nibbles, scales = four_bit_blocks(weight)
        blocks = self.constant(stored + ".q4", nibbles), self.constant(stored + ".scales", scales)
        # Level 4: activations in blocks of 8 bits.
        return self.node(
            "MatMulNBits", x, *blocks, name=name, domain=MICROSOFT, N=n, K=k, bits=4,
            block_size=BLOCK, accuracy_level=4,
        )  # fmt: skip

    def norm(self, x: str, module: str) -> str:
        """Layer normalisation over the last axis."""
        given = [self.weight(module + ".weight")]
        if module + ".bias" in self.tensors:
            given.append(self.weight(module + ".bias"))
        return self.node("LayerNormalization", x, *given, axis=-1, epsilon=1e-5)

    def conv(self, x: str, module: str, *, stride: int, pad: int = 0) -> str:
        """A convolution over the last axis."""
        given = [self.weight(module + ".weight")]
        if module + ".bias" in self.tensors:
            given.append(self.weight(module + ".bias"))
        return self.node("Conv", x, *given, strides=[stride], pads=[pad, pad])

    def heads(self, x: str) -> str:
        """[1, n, width] to [1, n_heads, n, width / n_heads]."""
        split = self.node("Reshape", x, self.integers(1, 0, self.n_heads, -1))
        return self.node("Transpose", split, perm=[0, 2, 1, 3])

    def attend(self, q: str, k: str, v: str, bias: str | None = None, weights: str = "") -> str:
        """Attention of q over k, v [1, n_heads, n, head_dim], `bias` added; [1, n, width].

        `weights` names the softmax, for an output.
        """
        scale = float(self.head_dim) ** -0.5
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.node("Mul", scores, self.constant("scale", np.array(scale, np.float32)))
        if bias:
            scores = self.node("Add", scores, bias)
        mixed = self.node("MatMul", self.node("Softmax", scores, name=weights, axis=-1), v)
        rows = self.node("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.node("Reshape", rows, self.integers(1, 0, -1))

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        width = next(
            t for name, t in self.tensors.items() if name.endswith("self_attn.q_proj.weight")
        )
        return int(len(width) // self.n_heads)

    def past_rows(self) -> str:
        """How many rows the cache holds, int64 []."""
        shape = self.node("Shape", "past_key_values.0.decoder.key", start=2, end=3)
        return self.node("Squeeze", shape)

    def causal_bias(self, n_past: str) -> str:
        """0 where a row may look and -inf where not, [rows, past + rows]."""
        n_rows = self.node("Squeeze", self.node("Shape", "input_ids", start=1, end=2))
        n_all, one = self.node("Add", n_past, n_rows), self.constant("one", np.array(1, np.int64))
        zero = self.constant("zero", np.array(0, np.int64))
        seen = self.node("Range", zero, n_all, one)
        row = self.node("Unsqueeze", self.node("Range", n_past, n_all, one), self.integers(1))
        allowed = self.node("LessOrEqual", seen, row)
        free = self.constant("free", np.array(0, np.float32))
        return self.node(
            "Where", allowed, free, self.constant("hidden", np.array(-np.inf, np.float32))
        )

    def remembered(self, layer: int, kind: str, rows: str) -> str:
        """Rows of the decoder behind those of the cache; they are the next cache."""
        past = f"past_key_values.{layer}.decoder.{kind}"
        return self.node("Concat", past, rows, name=f"present.{layer}.decoder.{kind}", axis=2)

    def crossed(self, layer: int, kind: str, module: str) -> str:
        """Keys or values of the encoder's states: out of the cache, or computed when it is off."""
        past, outer, output = f"past_key_values.{layer}.encoder.{kind}", self.nodes, ""
        self.nodes = []
        self.node("Identity", past, name=f"cached.{layer}.{kind}")
        cached, self.nodes = self.nodes, []
        projected = self.heads(self.linear("encoder_hidden_states", module))
        # Branches see the outer graph; their own names must not be taken there.
        computed = [_renamed(node, f"cross.{layer}.{kind}.") for node in self.nodes]
        self.nodes, output = outer, f"present.{layer}.encoder.{kind}"
        branches = [
            helper.make_graph(
                nodes, "branch", [], [value(nodes[-1].output[0], 1, None, None, None)]
            )
            for nodes in (cached, computed)
        ]
        assert projected
        self.nodes.append(
            helper.make_node(
                "If", ["use_cache_branch"], [output],
                then_branch=branches[0], else_branch=branches[1],
            )
        )  # fmt: skip
        return output

    def caches(self, name: str, n_layers: int) -> list[Any]:
        """Keys and values of decoder and encoder, [1, n_heads, rows, head_dim]."""
        return [
            value(
                f"{name}.{i}.{side}.{kind}", 1, self.n_heads, f"{side}_{name}_rows", self.head_dim
            )
            for i in range(n_layers)
            for side in ("decoder", "encoder")
            for kind in ("key", "value")
        ]

    def save(self, path: Path, inputs: list[Any], outputs: list[Any]) -> None:
        """Writes the model."""
        graph = helper.make_graph(
            self.nodes, path.stem, inputs, outputs,
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )  # fmt: skip
        domains = [helper.make_opsetid("", OPSET)]
        if any(node.domain for node in self.nodes):
            domains.append(helper.make_opsetid(MICROSOFT, 1))
        model = helper.make_model(graph, opset_imports=domains)
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)


def save_decoder(graph: SpeechGraph, path: Path, n_layers: int, width: int, n_vocab: int) -> None:
    """Writes a merged decoder whose nodes end in `logits`."""
    inputs = [
        value("input_ids", 1, "decoder_rows", kind=TensorProto.INT64),
        value("encoder_hidden_states", 1, "encoder_rows", width),
        *graph.caches("past_key_values", n_layers),
        value("use_cache_branch", 1, kind=TensorProto.BOOL),
    ]
    seen = (1, graph.n_heads, "decoder_rows", "encoder_rows")
    outputs = [
        value("logits", 1, "decoder_rows", n_vocab),
        *graph.caches("present", n_layers),
        *(value(f"{CROSS_ATTENTIONS}{i}", *seen) for i in range(n_layers)),
    ]
    graph.save(path, inputs, outputs)


def value(name: str, *shape: int | str | None, kind: int = TensorProto.FLOAT) -> Any:
    """An input or output of a graph; names stand for lengths that the caller chooses."""
    return helper.make_tensor_value_info(name, kind, shape)


def _renamed(node: Any, prefix: str) -> Any:
    """The node of a branch, its own outputs and the inputs made by such nodes prefixed."""
    node.output[0] = prefix + node.output[0]
    for i, name in enumerate(node.input):
        op, dot, number = name.partition(".")
        if dot and number.isdigit() and op[:1].isupper():
            node.input[i] = prefix + name
    return node
