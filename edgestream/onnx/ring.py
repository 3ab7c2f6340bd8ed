# SPDX-License-Identifier: Apache-2.0
"""The keys and values of one stream through an ONNX decoder: a ring in host memory.

Sees and places exactly what the native ring does (docs/decoder.md): row p sees the attention
sinks and the newest `window` rows, sink i at the distance min(p - i, n_sinks + window - 1 - i).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.onnx.rope import turned
from edgestream.onnx.weights import OnnxModel

HIDDEN = -1e30  # added to the score of a slot that a row does not see
HIDDEN_FLOAT16 = -1e4
LEAST_REBASE_ROWS = 64


@dataclass(frozen=True)
class RingShape:
    """What the memory keeps, and in how many slots."""

    n_sinks: int
    window: int
    ring_slots: int  # for the window; more than it, where a hidden row may be overwritten
    n_copies: int  # of the sinks: one for each row of a run, as each sees them at its own distance
    n_scratch: int = 0  # slots after the ring

    @property
    def sink_slots(self) -> int:
        return self.n_sinks * self.n_copies

    @property
    def n_slots(self) -> int:
        return self.sink_slots + self.ring_slots + self.n_scratch


class OnnxRing:
    """Arrays [n_layers, n_kv_heads, n_slots, head_dim]: copy r of sink i in slot r * n_sinks + i,
    then the window. Keys are stored turned to their positions less `base`."""

    def __init__(self, model: OnnxModel, shape: RingShape) -> None:
        self.shape, self.inv_freq = shape, model.inv_freq
        widths = (model.n_layers, model.n_kv_heads, shape.n_slots, model.head_dim)
        self.keys: NDArray[Any] = np.zeros(widths, model.dtype)
        self.values: NDArray[Any] = np.zeros(widths, model.dtype)
        # Sinks as they were written; each step turns them from here, so that nothing accumulates.
        self.masters = np.zeros((*widths[:2], shape.n_sinks, widths[3]), np.float32)
        self.pos = 0
        self.base = 0  # absolute position of RoPE position 0

    def run_length(self, n_waiting: int) -> int:
        """How many of the waiting rows can be written to consecutive slots, each kind alone."""
        s = self.shape
        if self.pos < s.n_sinks:
            return min(n_waiting, s.n_sinks - self.pos, s.n_copies)
        to_the_end = s.ring_slots - (self.pos - s.n_sinks) % s.ring_slots
        return min(n_waiting, to_the_end, s.n_copies)

    def slot_of(self, pos: int) -> int:
        s = self.shape
        return pos if pos < s.n_sinks else s.sink_slots + (pos - s.n_sinks) % s.ring_slots

    def positions(self, n_rows: int) -> NDArray[np.int64]:
        """RoPE positions of the next rows."""
        return np.arange(self.pos, self.pos + n_rows) - self.base

    def write_seen(self, seen: NDArray[Any], yes: float, no: float) -> None:
        """Fills `seen` [n_rows, n_slots] for the next rows: `yes` where a row sees a slot."""
        s = self.shape
        seen.fill(no)
        for row, slots in enumerate(seen):
            pos = self.pos + row
            copy = 0 if pos < s.n_sinks else row * s.n_sinks
            slots[copy : copy + min(pos + 1, s.n_sinks)] = yes
            n_keys = min(pos - s.n_sinks + 1, s.window)
            if n_keys < 1:
                continue
            start = self.slot_of(pos - n_keys + 1)
            before_wrap = min(n_keys, s.sink_slots + s.ring_slots - start)
            slots[start : start + before_wrap] = yes
            slots[s.sink_slots : s.sink_slots + n_keys - before_wrap] = yes

    def place_sinks(self, n_rows: int) -> None:
        """Turns copy r of the sinks to where the r-th of the next rows sees them."""
        s = self.shape
        if s.n_sinks == 0 or self.pos < s.n_sinks:
            return
        pos = np.arange(self.pos, self.pos + n_rows)
        turns = pos - self.base - np.minimum(pos, s.n_sinks + s.window - 1)
        angles = turns[:, None, None] * self.inv_freq  # [n_rows, 1, head_dim / 2]
        placed = turned(self.masters[:, :, None], angles)
        self.keys[:, :, : n_rows * s.n_sinks] = placed.reshape(
            *placed.shape[:2], n_rows * s.n_sinks, placed.shape[-1]
        )

    def advance(self, n_rows: int) -> None:
        """The next rows have been written to their slots."""
        s, first = self.shape, self.pos
        self.pos += n_rows
        if first >= s.n_sinks:
            return
        written = slice(first, self.pos)
        self.masters[:, :, written] = self.keys[:, :, written]
        for copy in range(1, s.n_copies):
            slots = slice(copy * s.n_sinks + first, copy * s.n_sinks + self.pos)
            self.values[:, :, slots] = self.values[:, :, written]

    def rebase(self) -> None:
        """Keeps positions small, for graphs that compute angles in float32: turns every key of the
        window back at once. More than a window lies between two such turns, so that a key is turned
        back at most once while it is seen."""
        s = self.shape
        far = s.n_sinks + s.window - 1
        at_least = max(LEAST_REBASE_ROWS, s.ring_slots + 1)
        if self.pos - self.base <= far + at_least:
            return
        by = self.pos - self.base - (far + 1)
        self.base += by
        window = self.keys[:, :, s.sink_slots :]
        window[:] = turned(window, -by * self.inv_freq)

    def copy_from(self, other: OnnxRing) -> None:
        """Takes over another stream's past; the shapes are the same."""
        for mine, theirs in (
            (self.keys, other.keys),
            (self.values, other.values),
            (self.masters, other.masters),
        ):
            np.copyto(mine, theirs)
        self.pos, self.base = other.pos, other.base

    def reset(self) -> None:
        """Back to an empty stream; hidden slots are multiplied by zero, which hides only what is
        finite."""
        self.keys.fill(0)
        self.values.fill(0)
        self.pos = self.base = 0
