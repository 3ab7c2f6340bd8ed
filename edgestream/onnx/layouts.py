# SPDX-License-Identifier: Apache-2.0
"""One run of an ONNX decoder over a ring, for each layout of inputs and outputs.

All arrays are made and bound once; a run moves rows in and logits out and copies no ring.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.onnx.ring import HIDDEN, HIDDEN_FLOAT16, OnnxRing, RingShape
from edgestream.onnx.session import NUMPY_TYPES, bind, run_bound
from edgestream.onnx.weights import SWITCHES, OnnxModel

Floats = NDArray[np.float32]


class Layout(abc.ABC):
    """A stream's ring, and the graph that computes over it. Rows come to a run as float32
    [n, n_embd], n as `ring.run_length` says; its logits [n, n_vocab] are valid until the next."""

    def __init__(self, model: OnnxModel, ring: OnnxRing, run_rows: int) -> None:
        self.model, self.ring = model, ring
        self._rows = np.zeros((run_rows, model.n_embd), _dtype(model, "inputs_embeds"))
        self._logits = np.zeros((run_rows, model.n_vocab), _dtype(model, "logits"))

    @abc.abstractmethod
    def run(self, rows: Floats) -> NDArray[Any]:
        """Appends rows; returns their logits."""

    def take_back(self, n_rows: int) -> None:
        """The newest rows were never taken; what the rows before them see was not overwritten."""
        self.ring.pos -= n_rows

    def _binding(self, n: int) -> Any:
        """Binds what all layouts have: n rows, their logits, the past."""
        binding = self.model.session.io_binding()
        bind(binding, "input", "inputs_embeds", self._rows, (1, n, self.model.n_embd))
        bind(binding, "output", "logits", self._logits, (1, n, self.model.n_vocab))
        self._bind_caches(binding, "input", self.ring.keys, self.ring.values)
        return binding

    def _bind_caches(self, binding: Any, kind: str, keys: Any, values: Any) -> None:
        for names, layers in ((self.model.keys, keys), (self.model.values, values)):
            for cache, layer in zip(names, layers, strict=True):
                name = cache.past if kind == "input" else cache.present
                bind(binding, kind, name, layer, (1, *layer.shape))

    def _compute(self, binding: Any) -> None:
        run_bound(self.model.session, binding, str(self.model.path))


class TurnedLayout(Layout):
    """Layouts that take angles: the host computes them in double, and present is past."""

    def __init__(self, model: OnnxModel, ring: OnnxRing, run_rows: int) -> None:
        super().__init__(model, ring, run_rows)
        self._cos = np.zeros((run_rows, model.head_dim // 2), model.dtype)
        self._sin = np.zeros_like(self._cos)

    def _load(self, rows: Floats) -> None:
        n, ring = len(rows), self.ring
        angles = ring.positions(n)[:, None] * ring.inv_freq
        self._rows[:n] = rows
        self._cos[:n], self._sin[:n] = np.cos(angles), np.sin(angles)
        ring.place_sinks(n)

    def _binding(self, n: int) -> Any:
        binding = super()._binding(n)
        for name, array in (("rope_cos", self._cos), ("rope_sin", self._sin)):
            bind(binding, "input", name, array, (1, n, array.shape[1]))
        self._bind_caches(binding, "output", self.ring.keys, self.ring.values)
        return binding


class RingLayout(TurnedLayout):
    """Layout B: the graph writes rows into their slots, a mask says what each sees."""

    def __init__(self, model: OnnxModel, n_sinks: int, window: int, max_rows: int) -> None:
        shape = RingShape(n_sinks, window, ring_slots=window + max_rows - 1, n_copies=max_rows)
        super().__init__(model, OnnxRing(model, shape), max_rows)
        self._index = np.zeros(1, np.int64)
        self._bias = np.zeros((max_rows, shape.n_slots), model.dtype)
        self._hidden = HIDDEN if model.dtype is np.float32 else HIDDEN_FLOAT16
        self._bindings = [self._binding(n_rows) for n_rows in range(1, max_rows + 1)]

    def run(self, rows: Floats) -> NDArray[Any]:
        n = len(rows)
        self._load(rows)
        self._index[0] = self.ring.slot_of(self.ring.pos)
        self.ring.write_seen(self._bias[:n], 0.0, self._hidden)
        self._compute(self._bindings[n - 1])
        self.ring.advance(n)
        return self._logits[:n]

    def _binding(self, n: int) -> Any:
        binding = super()._binding(n)
        bind(binding, "input", "write_index", self._index, (1,))
        bind(binding, "input", "attention_bias", self._bias, (1, 1, n, self.ring.shape.n_slots))
        return binding


class SharedLayout(TurnedLayout):
    """Layout C, row by row: a row sees every slot up to its own, so there is no room for hidden
    ones. When the ring is full a row is computed in a slot behind it and then takes the place of
    the oldest; what it replaced is remembered while it can be taken back."""

    def __init__(self, model: OnnxModel, n_sinks: int, window: int, max_rows: int) -> None:
        if window < 2:
            raise ValueError("ring: window is 1, layout C needs 2 or more")
        shape = RingShape(n_sinks, window, ring_slots=window - 1, n_copies=1, n_scratch=1)
        super().__init__(model, OnnxRing(model, shape), 1)
        kept = (max_rows, *self.ring.keys[:, :, 0].shape)  # [max_rows, n_layers, n_kv_heads, ...]
        self._old_keys, self._old_values = np.zeros(kept, model.dtype), np.zeros(kept, model.dtype)
        self._last = np.zeros(1, np.int32)
        self._total = np.zeros((), np.int32)
        self._one_row = self._binding(1)

    def run(self, rows: Floats) -> NDArray[Any]:
        ring = self.ring
        self._load(rows)
        slot, at = ring.slot_of(ring.pos), min(ring.pos, ring.shape.n_slots - 1)
        self._last[0], self._total[()] = at, at + 1
        self._compute(self._one_row)
        if at != slot:
            old = ring.pos % len(self._old_keys)
            self._old_keys[old], self._old_values[old] = (
                ring.keys[:, :, slot],
                ring.values[:, :, slot],
            )
            ring.keys[:, :, slot], ring.values[:, :, slot] = (
                ring.keys[:, :, at],
                ring.values[:, :, at],
            )
        ring.advance(1)
        return self._logits

    def take_back(self, n_rows: int) -> None:
        ring = self.ring
        for _ in range(n_rows):
            ring.pos -= 1
            if ring.pos >= ring.shape.n_slots - 1:
                slot, old = ring.slot_of(ring.pos), ring.pos % len(self._old_keys)
                ring.keys[:, :, slot], ring.values[:, :, slot] = (
                    self._old_keys[old], self._old_values[old],
                )  # fmt: skip

    def _binding(self, n: int) -> Any:
        binding = super()._binding(n)
        bind(binding, "input", "seqlens_k", self._last, (1,))
        bind(binding, "input", "total_sequence_length", self._total, ())
        return binding


class CommunityLayout(Layout):
    """Layout A, row by row: the graph joins past and new keys and computes RoPE itself, in float32
    from `position_ids`; the host moves the new row into its slot and keeps positions small."""

    def __init__(self, model: OnnxModel, n_sinks: int, window: int, max_rows: int) -> None:
        shape = RingShape(n_sinks, window, ring_slots=window + max_rows - 1, n_copies=1)
        super().__init__(model, OnnxRing(model, shape), 1)
        self._position = np.zeros(1, np.int64)
        self._mask = np.ones(shape.n_slots + 1, np.int64)
        layers, heads, slots, width = self.ring.keys.shape
        self._keys = np.zeros((layers, heads, slots + 1, width), model.dtype)
        self._values = np.zeros_like(self._keys)
        self._switches = {
            name: np.ones(model.inputs[name].shape, NUMPY_TYPES[model.inputs[name].type])
            for name in SWITCHES & set(model.inputs)
        }
        self._one_row = self._binding(1)

    def run(self, rows: Floats) -> NDArray[Any]:
        ring = self.ring
        ring.rebase()
        self._rows[:] = rows
        self._position[0] = ring.pos - ring.base
        slot = ring.slot_of(ring.pos)
        ring.write_seen(self._mask[None, :-1], 1, 0)
        self._mask[slot] = 0  # the row comes last, not from its slot
        ring.place_sinks(1)
        self._compute(self._one_row)
        ring.keys[:, :, slot] = self._keys[:, :, -1]
        ring.values[:, :, slot] = self._values[:, :, -1]
        ring.advance(1)
        return self._logits

    def _binding(self, n: int) -> Any:
        binding = super()._binding(n)
        bind(binding, "input", "position_ids", self._position, (1, 1))
        bind(binding, "input", "attention_mask", self._mask, (1, len(self._mask)))
        for name, ones in self._switches.items():
            bind(binding, "input", name, ones, ones.shape)
        self._bind_caches(binding, "output", self._keys, self._values)
        return binding


LAYOUTS: dict[str, Callable[[OnnxModel, int, int, int], Layout]] = {
    "A": CommunityLayout,
    "B": RingLayout,
    "C": SharedLayout,
}


def _dtype(model: OnnxModel, name: str) -> type[np.generic]:
    return NUMPY_TYPES[(model.inputs.get(name) or model.outputs[name]).type]
