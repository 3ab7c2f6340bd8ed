# SPDX-License-Identifier: Apache-2.0
"""Nodes of streaming encoders in ONNX: causal convolutions and attention that carry their state.

A graph takes a chunk and gives one row of embeddings; each state is an input `state.N` with an
output `state.N.out` of the same shape, all zeros before the first chunk (see encoder.py). The keys
and values of a window are an input `ring.N` of which a chunk replaces a few rows in place.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from edgestream.convert.onnx.decoder import write_onnx
from edgestream.convert.onnx.graph import Graph, value
from edgestream.errors import OutputError

OPSET = 20
Floats = NDArray[np.float32]
HIDDEN = np.float32(-1e9)  # added to the score of what must not be seen
LARGE_BYTES = 1 << 16  # from here on an array is worth a place of its own in a file
ALIGNMENT = 4096  # of a page, so that onnxruntime may map what it does not copy


class WeightFile:
    """Large arrays of a graph that would pass 2 GiB, in a file beside it (ONNX's external data).

    Each is written as soon as it is known: memory never holds two.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        path.unlink(missing_ok=True)

    def put(self, name: str, array: Floats) -> TensorProto:
        """Writes an array; the tensor that stands for it in the graph.

        Raises:
            OutputError: it cannot be written.
        """
        start = -(-self._end // ALIGNMENT) * ALIGNMENT
        try:
            with self._path.open("ab") as file:
                file.write(bytes(start - self._end))
                array.tofile(file)
        except OSError as error:
            said = error.strerror or f"{error}; is the disk full?"  # numpy tells bytes, no cause
            raise OutputError(f"{self._path}: cannot be written ({said})") from None
        self._end = start + array.nbytes
        tensor = TensorProto(name=name, dims=array.shape, data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": self._path.name, "offset": start, "length": array.nbytes}
        for key, value_ in place.items():
            tensor.external_data.add(key=key, value=str(value_))
        return tensor


class StreamGraph(Graph):
    """A graph with states; with `weights`, large arrays go there."""

    def __init__(self, weights: WeightFile | None = None) -> None:
        super().__init__()
        self._weights = weights
        self.states: dict[str, tuple[int, ...]] = {}

    def fixed(self, array: Any, name: str = "") -> str:
        """A float32 or int64 array, or a TensorProto of another type."""
        name = name or f"constant.{len(self.constants)}"
        is_float = isinstance(array, np.ndarray) and array.dtype == np.float32
        if self._weights and is_float and array.nbytes >= LARGE_BYTES:
            array = self._weights.put(name, np.ascontiguousarray(array, "<f4"))
        self.constants[name] = array
        return name

    def state(self, *shape: int) -> str:
        """The input of a new state."""
        return self._carried("state", shape)

    def ring(self, *shape: int) -> str:
        """The input of a new ring, whose output is bound to the same memory: nothing but the node
        that gives it may read it."""
        return self._carried("ring", shape)

    def _carried(self, kind: str, shape: tuple[int, ...]) -> str:
        name = f"{kind}.{sum(each.startswith(kind) for each in self.states)}"
        self.states[name] = shape
        return name

    def carry(self, state: str, next_value: str) -> None:
        """What the state is in the next run."""
        self.node("Identity", next_value, name=f"{state}.out")

    def slice(self, x: str, start: int, end: int, axis: int) -> str:
        """x[start:end] along an axis."""
        return self.node("Slice", x, self.integers(start), self.integers(end), self.integers(axis))

    def reshape(self, x: str, *shape: int) -> str:
        """x in another shape; 0 keeps a length."""
        return self.node("Reshape", x, self.integers(*shape))

    def linear(self, x: str, weight: Floats, bias: Floats | None = None) -> str:
        """x [1, T, in] by a weight [out, in]."""
        product = self.node("MatMul", x, self.fixed(np.ascontiguousarray(weight.T)))
        return product if bias is None else self.node("Add", product, self.fixed(bias))

    def causal_conv(
        self, x: str, weight: Floats, bias: Floats | None, *, stride: int = 1, dilation: int = 1,
        first: str = "",
    ) -> str:  # fmt: skip
        """x [1, in, T] with the last columns of the chunks before, in the place of padding.

        Before the first chunk they are zero, or copies of x's first column where the flag `first`
        is given and true.
        """
        past = (weight.shape[2] - 1) * dilation + 1 - stride
        if past:
            state = self.state(1, weight.shape[1], past)
            before = state
            if first:
                before = self.node("Where", first, self.slice(x, 0, 1, 2), state)
            x = self.node("Concat", before, x, axis=2)
            self.carry(state, self.slice(x, -past, np.iinfo(np.int64).max, 2))
        parts = [x, self.fixed(weight)] + ([] if bias is None else [self.fixed(bias)])
        return self.node("Conv", *parts, strides=[stride], dilations=[dilation])

    def write(self, path: Path, inputs: list[Any], embeddings: str, n_embd: int) -> None:
        """Writes the graph whole or not at all; `embeddings` [1, 1, n_embd] is its result."""
        self.node("Identity", embeddings, name="embeddings")
        shapes = self.states.items()
        states = [value(name, *shape) for name, shape in shapes]
        outputs = [value("embeddings", 1, 1, n_embd), *(value(f"{n}.out", *s) for n, s in shapes)]
        graph = self.build("encoder", [*inputs, *states], outputs)
        write_onnx(path, graph, OPSET)


class WindowAttention:
    """Attention over the last `window` rows of a stream that goes on for ever.

    Keys are rotated once, by an angle that is carried and taken modulo a full turn: only
    differences between angles count (Su et al. 2021, "RoFormer"), and these stay exact however long
    the stream is. All layers of an encoder share one of these.
    """

    def __init__(
        self, graph: StreamGraph, *, n_rows: int, window: int, n_heads: int, n_kv_heads: int,
        head_dim: int, inv_freq: NDArray[np.float64],
    ) -> None:  # fmt: skip
        self._graph, self._n_rows = graph, n_rows
        self._n_heads, self._n_kv_heads, self._head_dim = n_heads, n_kv_heads, head_dim
        # All rows that the chunk's first one sees, and the chunk, which never wraps.
        self._slots = -(-(window - 1 + n_rows) // n_rows) * n_rows
        self._rotation(inv_freq)
        self._visibility(window)

    def _rotation(self, inv_freq: NDArray[np.float64]) -> None:
        g, turn = self._graph, np.float32(2 * math.pi)
        state = g.state(1, len(inv_freq))
        ahead = np.arange(self._n_rows)[:, None] * inv_freq
        angles = g.node("Add", state, g.fixed(ahead.astype(np.float32)))  # [n_rows, head_dim/2]
        step = (self._n_rows * inv_freq).astype(np.float32)
        g.carry(
            state,
            g.node("Mod", g.node("Add", state, g.fixed(step)), g.fixed(turn), fmod=1),
        )
        self._cos, self._sin = g.node("Cos", angles), g.node("Sin", angles)

    def _visibility(self, window: int) -> None:
        """Scores' bias [n_rows, slots]: a row sees itself and window - 1 before it.

        The chunk lies in slots from `first_slot` on; rows before it, in the slots behind it.
        """
        g, n, slots = self._graph, self._n_rows, self._slots
        first_slot, n_before = g.state(1), g.state(1)  # rows before the chunk, up to a full window
        at = g.node("Cast", first_slot, to=TensorProto.INT64)
        places = np.moveaxis(np.indices((self._n_kv_heads, n)), 0, -1)  # head and slot of each row
        self._places = g.node("Add", g.fixed(places), g.node("Mul", at, g.integers(0, 1)))
        ages = np.arange(slots)  # from the chunk's first row on, negative of rows before it
        ages = np.where(ages < n, ages, ages - slots)
        rows = np.arange(n)[:, None]
        fixed = np.where((ages <= rows) & (ages > rows - window), np.float32(0), HIDDEN)
        turned = g.node("Mod", g.node("Sub", g.fixed(np.arange(slots)), at), g.integers(slots))
        age = g.node("Gather", g.fixed(ages.astype(np.float32)), turned)
        empty = g.node("Less", age, g.node("Neg", n_before))
        seen = g.node("Gather", g.fixed(fixed), turned, axis=1)
        self._bias = g.node("Where", empty, g.fixed(np.array(HIDDEN)), seen)
        step = g.fixed(np.array([n], np.float32))
        end = g.fixed(np.array([slots], np.float32))
        g.carry(first_slot, g.node("Mod", g.node("Add", first_slot, step), end, fmod=1))
        full = g.fixed(np.array([window - 1], np.float32))
        g.carry(n_before, g.node("Min", g.node("Add", n_before, step), full))
        self.first = g.node("Equal", n_before, g.fixed(np.zeros(1, np.float32)))

    def mix(self, q: str, k: str, v: str) -> str:
        """Projected rows [1, n_rows, n_heads * head_dim], n_kv_heads in k and v, to mixed rows."""
        g = self._graph
        q = self._rotate(self._heads(q, self._n_heads))
        keys = self._window(self._rotate(self._heads(k, self._n_kv_heads)))
        values = self._window(self._heads(v, self._n_kv_heads))
        scores = g.node("MatMul", q, g.node("Transpose", keys, perm=[0, 1, 3, 2]))
        scale = np.array(self._head_dim**-0.5, np.float32)
        scores = g.node("Add", g.node("Mul", scores, g.fixed(scale)), self._bias)
        mixed = g.node("MatMul", g.node("Softmax", scores, axis=-1), values)
        rows = g.node("Transpose", mixed, perm=[0, 2, 1, 3])
        return g.reshape(rows, 1, self._n_rows, self._n_heads * self._head_dim)

    def _heads(self, x: str, n_heads: int) -> str:
        split = self._graph.reshape(x, 1, self._n_rows, n_heads, self._head_dim)
        return self._graph.node("Transpose", split, perm=[0, 2, 1, 3])

    def _rotate(self, x: str) -> str:
        """Pairs element i with i + head_dim / 2."""
        g, half = self._graph, self._head_dim // 2
        left, right = g.slice(x, 0, half, 3), g.slice(x, half, 2 * half, 3)
        turned = [
            g.node("Sub", g.node("Mul", left, self._cos), g.node("Mul", right, self._sin)),
            g.node("Add", g.node("Mul", right, self._cos), g.node("Mul", left, self._sin)),
        ]
        return g.node("Concat", *turned, axis=3)

    def _window(self, new: str) -> str:
        """The window with the new rows [1, n_heads, slots, head_dim], each key head for all query
        heads that share it."""
        g, n_kv_heads, head_dim = self._graph, self._n_kv_heads, self._head_dim
        ring = g.ring(n_kv_heads, self._slots, head_dim)
        new = g.reshape(new, n_kv_heads, self._n_rows, head_dim)
        rows = g.node("ScatterND", ring, self._places, new, name=f"{ring}.out")
        group = self._n_heads // n_kv_heads
        if group > 1:
            wide = g.node("Unsqueeze", rows, g.integers(1))
            rows = g.node("Expand", wide, g.integers(1, group, 1, 1))
        return g.reshape(rows, 1, self._n_heads, self._slots, head_dim)
