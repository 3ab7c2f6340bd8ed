# SPDX-License-Identifier: Apache-2.0
"""One run of an ONNX decoder over a ring, for each layout of inputs and outputs.

All arrays are made and bound once; a run moves rows in and logits out and copies no ring.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import OperationError
from edgestream.onnx_model import SWITCHES, OnnxModel
from edgestream.onnx_ring import HIDDEN, HIDDEN_FLOAT16, OnnxRing
from edgestream.onnx_session import NUMPY_TYPES, bind, one_line

Floats = NDArray[np.float32]


class RingLayout:
    """Layout B: the graph writes rows of keys and values into the ring itself."""

    def __init__(self, model: OnnxModel, ring: OnnxRing, max_rows: int) -> None:
        self._model, self._ring = model, ring
        self._rows = np.zeros((max_rows, model.n_embd), _dtype(model, "inputs_embeds"))
        self._cos = np.zeros((max_rows, model.head_dim // 2), model.dtype)
        self._sin = np.zeros_like(self._cos)
        self._index = np.zeros(1, np.int64)
        self._bias = np.zeros((max_rows, ring.shape.n_slots), model.dtype)
        self._hidden = HIDDEN if model.dtype is np.float32 else HIDDEN_FLOAT16
        self._logits = np.zeros((max_rows, model.n_vocab), _dtype(model, "logits"))
        self._bindings = [self._bind(n_rows) for n_rows in range(1, max_rows + 1)]

    def run(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """Appends rows [n, n_embd]; returns logits [n, n_vocab], valid until the next run."""
        n, ring = len(rows), self._ring
        angles = ring.positions(n)[:, None] * ring.inv_freq
        self._rows[:n] = rows
        self._cos[:n], self._sin[:n] = np.cos(angles), np.sin(angles)
        self._index[0] = ring.slot_of(ring.pos)
        ring.write_seen(self._bias[:n], 0.0, self._hidden)
        ring.place_sinks(n)
        _compute(self._model, self._bindings[n - 1])
        ring.advance(n)
        return self._logits[:n]

    def _bind(self, n: int) -> Any:
        model, slots = self._model, self._ring.shape.n_slots
        binding = model.session.io_binding()
        bind(binding, "input", "inputs_embeds", self._rows, (1, n, model.n_embd))
        for name, array in (("rope_cos", self._cos), ("rope_sin", self._sin)):
            bind(binding, "input", name, array, (1, n, array.shape[1]))
        bind(binding, "input", "write_index", self._index, (1,))
        bind(binding, "input", "attention_bias", self._bias, (1, 1, n, slots))
        for names, ring in ((model.keys, self._ring.keys), (model.values, self._ring.values)):
            for cache, layer in zip(names, ring, strict=True):
                bind(binding, "input", cache.past, layer, (1, *layer.shape))
                bind(binding, "output", cache.present, layer, (1, *layer.shape))
        bind(binding, "output", "logits", self._logits, (1, n, model.n_vocab))
        return binding


class CommunityLayout:
    """Layout A, row by row: the graph joins past and new keys and computes RoPE itself, in float32
    from `position_ids`; the host moves the new row into its slot and keeps positions small."""

    def __init__(self, model: OnnxModel, ring: OnnxRing) -> None:
        self._model, self._ring = model, ring
        shape = ring.shape
        self._row = np.zeros((1, model.n_embd), _dtype(model, "inputs_embeds"))
        self._position = np.zeros(1, np.int64)
        self._mask = np.ones(shape.n_slots + 1, np.int64)
        joined = (shape.n_layers, shape.n_kv_heads, shape.n_slots + 1, shape.head_dim)
        self._keys, self._values = np.zeros(joined, shape.dtype), np.zeros(joined, shape.dtype)
        self._logits = np.zeros((1, model.n_vocab), _dtype(model, "logits"))
        self._switches = {
            name: np.ones(model.inputs[name].shape, NUMPY_TYPES[model.inputs[name].type])
            for name in SWITCHES & set(model.inputs)
        }
        self._binding = self._bind()

    def run(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """Appends a row [1, n_embd]; returns its logits [1, n_vocab], valid until the next run."""
        ring = self._ring
        ring.rebase()
        self._row[:] = rows
        self._position[0] = ring.pos - ring.base
        slot = ring.slot_of(ring.pos)
        ring.write_seen(self._mask[None, :-1], 1, 0)
        self._mask[slot] = 0  # the row comes last, not from its slot
        ring.place_sinks(1)
        _compute(self._model, self._binding)
        ring.keys[:, :, slot] = self._keys[:, :, -1]
        ring.values[:, :, slot] = self._values[:, :, -1]
        ring.advance(1)
        return self._logits

    def _bind(self) -> Any:
        model = self._model
        binding = model.session.io_binding()
        bind(binding, "input", "inputs_embeds", self._row, (1, 1, model.n_embd))
        bind(binding, "input", "position_ids", self._position, (1, 1))
        bind(binding, "input", "attention_mask", self._mask, (1, len(self._mask)))
        for name, ones in self._switches.items():
            bind(binding, "input", name, ones, ones.shape)
        for names, past, present in (
            (model.keys, self._ring.keys, self._keys),
            (model.values, self._ring.values, self._values),
        ):
            for cache, layer, joined in zip(names, past, present, strict=True):
                bind(binding, "input", cache.past, layer, (1, *layer.shape))
                bind(binding, "output", cache.present, joined, (1, *joined.shape))
        bind(binding, "output", "logits", self._logits, (1, 1, model.n_vocab))
        return binding


def _dtype(model: OnnxModel, name: str) -> type[np.generic]:
    return NUMPY_TYPES[(model.inputs.get(name) or model.outputs[name]).type]


def _compute(model: OnnxModel, binding: Any) -> None:
    try:
        model.session.run_with_iobinding(binding)
    except Exception as error:  # onnxruntime raises its own types, not one base
        raise OperationError(f"{model.path}: onnxruntime failed: {one_line(error)}") from None
