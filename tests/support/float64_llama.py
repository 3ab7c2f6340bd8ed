# SPDX-License-Identifier: Apache-2.0
"""A decoder in float64 that keeps all rows and attends to exactly those a ring would keep."""

from __future__ import annotations

import numpy as np
from tiny_llama import TinyShape

LOCAL_ROPE_BASE = 10_000.0


class Float64Llama:
    """The definition that the ring decoder is held against, one row at a time.

    Row p sees the sinks and the newest `window` rows; a row of the window at distance p - a, sink i
    at min(p - i, n_sinks + window - 1 - i). Of these a local layer sees those nearer than its
    reach. Two defects can be built in, to show that the comparison notices them:
    `turn_sinks=False` leaves sinks at their absolute distance, and `one_wrong_slot=True` keeps the
    oldest row of a full window's place for the row before it.
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
        self.frequencies = frequencies(shape, self.weights)
        self.growth = 1 + 0.1 * np.log(shape.rope_factor) if shape.rope_scaling == "yarn" else 1.0
        self.keys: list[list[np.ndarray]] = [[] for _ in range(shape.n_layers)]
        self.values: list[list[np.ndarray]] = [[] for _ in range(shape.n_layers)]
        # Of the last row in each layer: [n_heads, rows in the order of _kept].
        self.weights_seen: dict[int, np.ndarray] = {}
        self.deepstack: list[np.ndarray] = []  # parts of the row
        self.pos = 0

    def step(self, rows: np.ndarray) -> np.ndarray:
        """Appends rows [n, n_embd] one after the other; returns the last one's logits [n_vocab].

        Rows are as much wider as there are deepstack layers, behind each of which a part is added.
        """
        for row in rows:
            x, *self.deepstack = row.astype(np.float64).reshape(-1, self.shape.n_embd)
            logits = self._one(x)
        return logits

    def _one(self, x: np.ndarray) -> np.ndarray:
        for i in range(self.shape.n_layers):
            x = self._layer(x, i)
        self.pos += 1
        return self._logits(x)

    def _layer(self, x: np.ndarray, i: int) -> np.ndarray:
        added = self._attention(self._norm(x, f"blk.{i}.attn_norm.weight"), i)
        x = x + self._norm_if_there(added, f"blk.{i}.post_attention_norm.weight")
        added = self._feed_forward(self._norm(x, f"blk.{i}.ffn_norm.weight"), i)
        x = x + self._norm_if_there(added, f"blk.{i}.post_ffw_norm.weight")
        return x + self.deepstack[i] if i < len(self.deepstack) else x

    def _logits(self, x: np.ndarray) -> np.ndarray:
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

    def _weights_of(self, rows: np.ndarray) -> np.ndarray:
        """Rows that each of `rows` stands for."""
        return np.ones(len(rows))

    def _heads(self, x: np.ndarray, i: int, name: str) -> np.ndarray:
        projected = self.weights[f"blk.{i}.attn_{name}.weight"] @ x
        projected = projected + self.weights.get(f"blk.{i}.attn_{name}.bias", 0.0)
        heads = projected.reshape(-1, self.shape.head_dim)
        return self._norm_if_there(heads, f"blk.{i}.attn_{name}_norm.weight")

    def _remember(self, x: np.ndarray, i: int) -> None:
        self.keys[i].append(self._heads(x, i, "k"))
        self.values[i].append(self._heads(x, i, "v"))

    def _attention(self, x: np.ndarray, i: int) -> np.ndarray:
        s = self.shape
        heads = self._heads(x, i, "q")
        self._remember(x, i)
        rows, distances = self._kept()
        reach = s.reach(i)
        if reach is not None:
            rows, distances = rows[distances < reach], distances[distances < reach]
        keys = np.stack([self.keys[i][r] for r in rows])
        values = np.stack([self.values[i][r] for r in rows])
        group = s.n_heads // s.n_kv_heads
        turned = np.repeat(self._turn(keys, -distances, i), group, axis=1)
        scores = np.einsum("hd,nhd->hn", heads, turned) / np.sqrt(s.head_dim)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True)) * self._weights_of(rows)
        scores /= scores.sum(axis=1, keepdims=True)
        self.weights_seen[i] = scores
        mixed = np.einsum("hn,nhd->hd", scores, np.repeat(values, group, axis=1))
        return self.weights[f"blk.{i}.attn_output.weight"] @ mixed.reshape(-1)

    def _turn(self, x: np.ndarray, positions: np.ndarray, i: int) -> np.ndarray:
        """Rotates pairs of x [n, heads, head_dim] by positions [n], as layer i does."""
        if not self.shape.is_rotated(i):
            return x
        is_local = self.shape.reach(i) is not None
        speeds = base_frequencies(self.shape, LOCAL_ROPE_BASE) if is_local else self.frequencies
        if positions.ndim == 2:  # [n, 3]: each pair is turned by its axis
            positions = positions[:, axis_of_pairs(self.shape)]
        angles = positions.reshape(len(positions), 1, -1) * speeds
        half = self.shape.head_dim // 2
        halves = self.shape.traits.pairs_halves
        first, second = (
            (slice(0, half), slice(half, None))
            if halves
            else (slice(0, None, 2), slice(1, None, 2))
        )
        a, b = x[..., first], x[..., second]
        turned = np.empty_like(x)
        turned[..., first] = a * np.cos(angles) - b * np.sin(angles)
        turned[..., second] = a * np.sin(angles) + b * np.cos(angles)
        return turned * self.growth**2  # the query grows too

    def _feed_forward(self, x: np.ndarray, i: int) -> np.ndarray:
        gate = self.weights[f"blk.{i}.ffn_gate.weight"] @ x
        up = self.weights[f"blk.{i}.ffn_up.weight"] @ x
        gated = gelu(gate) if self.shape.traits.is_gemma else gate / (1.0 + np.exp(-gate))
        return self.weights[f"blk.{i}.ffn_down.weight"] @ (gated * up)

    def _norm_if_there(self, x: np.ndarray, name: str) -> np.ndarray:
        return self._norm(x, name) if name in self.weights else x

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        scale = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.shape.rms_epsilon)
        return x / scale * self.weights[name]


def axis_of_pairs(shape: TinyShape) -> np.ndarray:
    """Time, height or width, as 0 to 2, for each pair [head_dim / 2]."""
    if shape.traits.interleaved:
        return np.arange(shape.head_dim // 2) % 3
    return np.repeat(np.arange(4), shape.traits.sections)


def base_frequencies(shape: TinyShape, base: float) -> np.ndarray:
    """Radians per position of each pair [head_dim / 2]."""
    return base ** (-2.0 * np.arange(shape.head_dim // 2) / shape.head_dim)


def frequencies(shape: TinyShape, weights: dict[str, np.ndarray]) -> np.ndarray:
    """The same with the model's scaling."""
    plain = base_frequencies(shape, shape.rope_base)
    if shape.rope_factors:
        plain = plain / weights["rope_freqs.weight"]
    if shape.traits.interleaved:
        # Text has no fourth axis, to which ggml gives the pairs that are no axis's turn.
        axis, turn = np.arange(len(plain)) % 3, np.arange(len(plain)) // 3
        plain = np.where(turn < np.array(shape.traits.sections)[axis], plain, 0.0)
    if shape.rope_scaling == "none":
        return plain
    slow = plain / shape.rope_factor
    if shape.rope_scaling == "linear":
        return slow
    # YaRN: pairs that turn more than 32 times over the trained rows keep their speed, those that
    # turn less than once are scaled, and between them the speed goes over.
    low, high = (
        shape.head_dim * np.log(shape.trained_rows / (turns * 2 * np.pi)) / 2
        / np.log(shape.rope_base) for turns in (32.0, 1.0)
    )  # fmt: skip
    low, high = max(0.0, np.floor(low)), min(shape.head_dim - 1.0, np.ceil(high))
    share = np.clip((np.arange(len(plain)) - low) / max(0.001, high - low), 0.0, 1.0)
    return plain * (1 - share) + slow * share


def gelu(x: np.ndarray) -> np.ndarray:
    """By the hyperbolic tangent, from float16 to float16 below 10, as ggml has it in a table."""
    x16 = x.astype(np.float16).astype(np.float64)
    y = 0.5 * x16 * (1 + np.tanh(np.sqrt(2 / np.pi) * x16 * (1 + 0.044715 * x16 * x16)))
    y = y.astype(np.float16).astype(np.float64)
    return np.where(x <= -10, 0.0, np.where(x >= 10, x, y))
