# SPDX-License-Identifier: Apache-2.0
"""Encoder-decoders for speech as ONNX: linear layers, norms and attention over stored weights.

Weights are stored once, in the type that was asked for, and computed with as the CPU is fastest:

| type | matrices | tables that are looked up | the rest |
|---|---|---|---|
| f32 | float32 | float32 | float32 |
| f16 | float16, made float32 when they are loaded | the same | float16 |
| int8 | 8 bits, a scale for each row; in blocks where few rows meet them | 8 bits | float16 |
| q4 | blocks of 32 weights of 4 bits | 8 bits | float16 |
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edgestream.convert.onnx.graph import BLOCK, MICROSOFT, Graph
from edgestream.convert.onnx.small_weights import block_of, eight_bit_blocks, eight_bit_rows

Floats = NDArray[np.float32]
OPSET = 20
IR_VERSION = 9
SMALL = ("int8", "q4")  # types that take operators of onnxruntime's own
N_SMALL = 4096  # numbers; so small a tensor is stored in float32 whatever the type
HALF_MAX = float(np.finfo(np.float16).max)


class SpeechGraph(Graph):
    """A graph over a checkpoint's tensors."""

    def __init__(self, tensors: Mapping[str, Floats], n_heads: int, *, quant: str = "f32") -> None:
        """`quant` is one of the types above."""
        super().__init__()
        self.tensors, self.n_heads, self.quant = tensors, n_heads, quant

    def number(self, value: float) -> str:
        """A float32 []."""
        return self.constant(f"number.{value:g}", np.array(value, np.float32))

    def weight(self, name: str) -> str:
        """A tensor of the checkpoint, float32 where it is used."""
        return self._stored(name, self.tensors[name])

    def linear(self, x: str, module: str, *, few_rows: bool = False) -> str:
        """x @ weight.T + bias, where there is one.

        With `few_rows` x is a token or a sentence: then 8 bits are read block by block, as suits
        what memory limits, and not multiplied in large tiles.
        """
        name, bias = module + ".weight", module + ".bias"
        weight = self.tensors[name]
        k = weight.shape[1]
        added = self.weight(bias) if bias in self.tensors else ""
        if self.quant == "q4" and k % BLOCK == 0:
            x = self.four_bits(x, name, weight)
        elif self.quant == "int8" and few_rows and block_of(k):
            x = self._blocked(x, name, weight)
        elif self.quant == "int8":
            return self._in_tiles(x, name, weight, added)
        else:
            x = self.node("MatMul", x, self._stored(name + ".T", weight.T))
        return self.node("Add", x, added) if added else x

    def looked_up(self, ids: str, name: str) -> str:
        """Rows of a table of the checkpoint [n, width], for ids [1, m]: [1, m, width]."""
        table = self.tensors[name]
        if not self._has_small_table(table):
            return self.node("Gather", self.weight(name), ids)
        codes, scales = self._eight_bits(name, table)
        steps = self.node("Cast", self.node("Gather", codes, ids), to=TensorProto.FLOAT)
        steps = self.node("Sub", steps, self.number(128))
        blocks = self.node("Unsqueeze", self.node("Gather", scales, ids), self.integers(3))
        rows = self.node("Mul", steps, blocks)
        return self.node("Reshape", rows, self.integers(1, -1, table.shape[1]))

    def likeness(self, x: str, name: str, output: str) -> str:
        """x @ table.T of the table that looked_up() reads, which is stored once; as `output`."""
        table = self.tensors[name]
        if self._has_small_table(table):
            return self._blocked(x, name, table, output)
        # Folded when it is loaded. Not a Gemm: onnxruntime's quantizer turns the table of one.
        turned = self.node("Transpose", self.weight(name), perm=[1, 0])
        return self.node("MatMul", x, turned, name=output)

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

    def conv_rows(self, x: str, module: str, *, stride: int) -> str:
        """A convolution over rows [1, n, k], odd in width and padded to keep their count.

        In 8 bits it is a product with neighbouring rows side by side; no convolution is so fast.
        """
        kernel = self.tensors[module + ".weight"]  # [n, k, width]
        width = kernel.shape[2]
        half = width // 2
        if self.quant != "int8":
            columns = self.node("Transpose", x, perm=[0, 2, 1])
            return self.node(
                "Transpose", self.conv(columns, module, stride=stride, pad=half), perm=[0, 2, 1]
            )
        n_rows = self.node("Shape", x, start=1, end=2)
        padded = self.node("Pad", x, self.integers(0, half, 0, 0, half, 0))
        shifted = []
        for i in range(width):
            end = self.node("Add", n_rows, self.integers(i))
            step = self.integers(1), self.integers(stride)
            shifted.append(self.node("Slice", padded, self.integers(i), end, *step))
        side_by_side = self.node("Concat", *shifted, axis=2)
        matrix = kernel.transpose(0, 2, 1).reshape(len(kernel), -1)
        return self._in_tiles(
            side_by_side, module + ".weight", matrix, self.weight(module + ".bias")
        )

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

    def mix(self, q: str, k: str, v: str) -> str:
        """Attention of rows [1, n, width] over all of them; [1, n, width].

        Beside operators of onnxruntime it is one, too, which never holds the scores of all rows.
        """
        if self.quant in SMALL:
            return self.node(
                "MultiHeadAttention", q, k, v, domain=MICROSOFT, num_heads=self.n_heads
            )
        return self.attend(*(self.heads(each) for each in (q, k, v)))

    @property
    def head_dim(self) -> int:
        """Width of a head."""
        width = next(
            t for name, t in self.tensors.items() if name.endswith("self_attn.q_proj.weight")
        )
        return int(len(width) // self.n_heads)

    def save(self, path: Path, inputs: list[Any], outputs: list[Any]) -> None:
        """Writes the model; the same tensors give the same bytes."""
        graph = self.build(path.stem, inputs, outputs)
        domains = [helper.make_opsetid("", OPSET)]
        if any(node.domain for node in self.nodes) or self.quant in SMALL:
            domains.append(helper.make_opsetid(MICROSOFT, 1))
        model = helper.make_model(graph, opset_imports=domains)
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)

    def _stored(self, name: str, array: Floats) -> str:
        if self.quant == "f32" or array.size <= N_SMALL:
            return self.constant(name, array)
        half = np.clip(array, -HALF_MAX, HALF_MAX).astype(np.float16)
        return self.node("Cast", self.constant(name + ".f16", half), to=TensorProto.FLOAT)

    def _has_small_table(self, table: Floats) -> bool:
        return self.quant in SMALL and bool(block_of(table.shape[1]))

    def _eight_bits(self, stored: str, weight: Floats) -> tuple[str, str]:
        codes, scales = eight_bit_blocks(weight)
        return self.constant(stored + ".q8", codes), self.constant(stored + ".scales", scales)

    def _in_tiles(self, x: str, stored: str, weight: Floats, added: str) -> str:
        """x @ weight.T + added; activations are rounded to 8 bits by one scale for all of them."""
        codes, scales = eight_bit_rows(weight)
        matrix = self.constant(stored + ".T.int8", codes.T)
        inputs = [x, matrix, self.constant(stored + ".scales", scales)]
        if added:
            inputs += ["", added]  # no zero points
        return self.node("DynamicQuantizeMatMul", *inputs, domain=MICROSOFT)

    def _blocked(self, x: str, stored: str, weight: Floats, name: str = "") -> str:
        """As `four_bits()`, in 8 bits."""
        blocks, size = self._eight_bits(stored, weight), block_of(weight.shape[1])
        return self.in_blocks(x, *blocks, shape=weight.shape, bits=8, block_size=size, name=name)
