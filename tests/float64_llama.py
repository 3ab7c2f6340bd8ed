# SPDX-License-Identifier: Apache-2.0
"""A llama decoder in float64 that keeps all rows and attends to exactly those a ring would keep."""

from __future__ import annotations

import numpy as np
from tiny_llama import TinyShape


class Float64Llama:
    """The definition that the ring decoder is held against, one row at a time.

    Row p sees the sinks and the newest `window` rows; a row of the window at distance p - a, sink i
    at min(p - i, n_sinks + window - 1 - i). Two defects can be built in, to show that the
    comparison notices them: `turn_sinks=False` leaves sinks at their absolute distance, and
    `one_wrong_slot=True` keeps the oldest row of a full window's place for the row before it.
    """

    def __init__(
        self,
        shape: TinyShape,
        weights: dict[str, np.ndarray],
        *,
        n_sinks: int,
        window: int,
        turn_sinks: bool = True,
        one_wrong_slot: bool = False,
    ) -> None:
        self.shape = shape
        self.weights = {name: w.astype(np.float64) for name, w in weights.items()}
        self.n_sinks, self.window = n_sinks, window
        self.turn_sinks, self.one_wrong_slot = turn_sinks, one_wrong_slot
        half = np.arange(shape.head_dim // 2)
        self.frequencies = shape.rope_base ** (-2.0 * half / shape.head_dim)
        if shape.rope_factors:
            self.frequencies = self.frequencies / self.weights["rope_freqs.weight"]
        self.keys: list[list[np.ndarray]] = [[] for _ in range(shape.n_layers)]
        self.values: list[list[np.ndarray]] = [[] for _ in range(shape.n_layers)]
        # Of the last row in each layer: [n_heads, rows in the order of _kept].
        self.weights_seen: dict[int, np.ndarray] = {}
        self.pos = 0

    def step(self, rows: np.ndarray) -> np.ndarray:
        """Appends rows [n, n_embd] one after the other; returns the last one's logits [n_vocab]."""
        for row in rows:
            logits = self._one(row.astype(np.float64))
        return logits

    def _one(self, x: np.ndarray) -> np.ndarray:
        for i in range(self.shape.n_layers):
            x = x + self._attention(self._norm(x, f"blk.{i}.attn_norm.weight"), i)
            x = x + self._feed_forward(self._norm(x, f"blk.{i}.ffn_norm.weight"), i)
        self.pos += 1
        output = "token_embd.weight" if self.shape.tied else "output.weight"
        return self.weights[output] @ self._norm(x, "output_norm.weight")

    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that the current row sees, and their distances."""
        p, s, w = self.pos, self.n_sinks, self.window
        sinks = np.arange(min(p + 1, s))
        recent = np.arange(max(s, p - w + 1), p + 1)
        rows = np.concatenate([sinks, recent])
        if self.one_wrong_slot and p >= s + w:
            rows[len(sinks)] = p - w
        last = p if not self.turn_sinks else min(p, s + w - 1)
        return rows, np.concatenate([last - sinks, p - recent])

    def _attention(self, x: np.ndarray, i: int) -> np.ndarray:
        s = self.shape
        heads = (self.weights[f"blk.{i}.attn_q.weight"] @ x).reshape(s.n_heads, s.head_dim)
        for store, name in ((self.keys, "attn_k"), (self.values, "attn_v")):
            projected = self.weights[f"blk.{i}.{name}.weight"] @ x
            store[i].append(projected.reshape(s.n_kv_heads, s.head_dim))
        rows, distances = self._kept()
        keys = np.stack([self.keys[i][r] for r in rows])
        values = np.stack([self.values[i][r] for r in rows])
        group = s.n_heads // s.n_kv_heads
        turned = np.repeat(self._turn(keys, -distances), group, axis=1)
        scores = np.einsum("hd,nhd->hn", heads, turned) / np.sqrt(s.head_dim)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        self.weights_seen[i] = scores
        mixed = np.einsum("hn,nhd->hd", scores, np.repeat(values, group, axis=1))
        return self.weights[f"blk.{i}.attn_output.weight"] @ mixed.reshape(-1)

    def _turn(self, x: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Rotates neighbouring pairs of x [n, heads, head_dim] by positions [n]."""
        angles = positions[:, None, None] * self.frequencies
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = np.empty_like(x)
        turned[..., 0::2] = even * np.cos(angles) - odd * np.sin(angles)
        turned[..., 1::2] = even * np.sin(angles) + odd * np.cos(angles)
        return turned

    def _feed_forward(self, x: np.ndarray, i: int) -> np.ndarray:
        gate = self.weights[f"blk.{i}.ffn_gate.weight"] @ x
        up = self.weights[f"blk.{i}.ffn_up.weight"] @ x
        return self.weights[f"blk.{i}.ffn_down.weight"] @ (gate / (1.0 + np.exp(-gate)) * up)

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        scale = np.sqrt(np.mean(x * x) + self.shape.rms_epsilon)
        return x / scale * self.weights[name]
