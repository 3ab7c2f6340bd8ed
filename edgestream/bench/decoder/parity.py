# SPDX-License-Identifier: Apache-2.0
"""Is the ring right? Against libllama before it wraps, against float64 long after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream._native import GgufModel, RingDecoder
from edgestream.bench.decoder.libllama import LibllamaModel, LibllamaStream
from edgestream.bench.random_decoder import (
    RMS_EPSILON,
    ROPE_BASE,
    TINY,
    Shape,
    Weights,
    random_weights,
    write_weights,
)

Float64 = NDArray[np.float64]
N_SINKS, WINDOW = 4, 28
BEFORE_WRAP_ROWS = 150
LAPS = 22


def before_wrap_max_abs(folder: Path) -> float:
    """Largest difference from libllama's logits over weights and keys of all plain types."""
    worst = 0.0
    for kind in ("F32", "F16", "Q8_0"):
        path = write_weights(folder / f"{kind}.gguf", TINY, random_weights(TINY), kind)
        model = GgufModel(str(path))
        rows = token_rows(model, BEFORE_WRAP_ROWS)
        # Repacked weights are summed in another order.
        with LibllamaModel(path, repack=False) as peer:
            for kv_type in ("f16", "f32"):
                stream = LibllamaStream(peer, BEFORE_WRAP_ROWS, flash=False, kv_type=kv_type)
                ring = RingDecoder(model, n_sinks=N_SINKS, window=BEFORE_WRAP_ROWS, kv_type=kv_type)
                for row in rows:
                    difference = np.abs(ring.step(row[None]) - stream.step(row[None]))
                    worst = max(worst, float(difference.max()))
                stream.close()
    return worst


def after_wrap_max_abs(folder: Path) -> float:
    """Largest difference from float64 over LAPS laps of a float32 ring, rebased every second."""
    weights = random_weights(TINY)
    model = GgufModel(str(write_weights(folder / "wrapped.gguf", TINY, weights, "F32")))
    rows = token_rows(model, N_SINKS + LAPS * WINDOW)
    ring = RingDecoder(
        model, n_sinks=N_SINKS, window=WINDOW, kv_type="f32", max_rows=8, rebase_rows=40
    )
    ours = np.stack([ring.step(row[None]) for row in rows])
    return float(np.abs(ours - float64_logits(TINY, weights, rows, N_SINKS, WINDOW)).max())


def token_rows(model: GgufModel, n_rows: int, seed: int = 1) -> NDArray[np.float32]:
    """Input rows [n_rows, n_embd] of random tokens."""
    tokens = np.random.default_rng(seed).integers(0, model.n_vocab, n_rows)
    return np.stack([model.token_embedding(int(token)) for token in tokens])


def float64_logits(
    shape: Shape, weights: Weights, rows: NDArray[np.float32], n_sinks: int, window: int
) -> Float64:
    """The definition in one piece: logits [n, n_vocab] of all rows [n, n_embd] at once.

    Row p sees the sinks and the newest `window` rows; a row of the window at distance p - a, sink i
    at min(p - i, n_sinks + window - 1 - i), whatever happened on the way.
    """
    w = {name: values.astype(np.float64) for name, values in weights.items()}
    x = rows.astype(np.float64)
    for i in range(shape.n_layers):
        layer = {name.split(".")[2]: w[name] for name in w if name.startswith(f"blk.{i}.")}
        x = x + _attention(shape, layer, _norm(x, layer["attn_norm"]), n_sinks, window)
        normed = _norm(x, layer["ffn_norm"])
        gate, up = normed @ layer["ffn_gate"].T, normed @ layer["ffn_up"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ layer["ffn_down"].T
    return _norm(x, w["output_norm.weight"]) @ w["token_embd.weight"].T


def _attention(
    shape: Shape, layer: dict[str, Float64], x: Float64, n_sinks: int, window: int
) -> Float64:
    n = len(x)
    group = shape.n_heads // shape.n_kv_heads
    query = (x @ layer["attn_q"].T).reshape(n, shape.n_heads, -1)
    key, value = (
        np.repeat((x @ layer[name].T).reshape(n, shape.n_kv_heads, -1), group, axis=1)
        for name in ("attn_k", "attn_v")
    )
    row, seen = np.arange(n)[:, None], np.arange(n)[None]
    near = np.arange(n)
    afar = np.minimum(near, n_sinks + window - 1)  # where a row stands when it looks at the sinks
    turned = _turn(key, near)
    scores = np.einsum("phd,ahd->hpa", _turn(query, near), turned)
    to_sinks = np.einsum("phd,ahd->hpa", _turn(query, afar), turned[:n_sinks])
    scores[:, :, :n_sinks] = to_sinks
    visible = (seen <= row) & ((seen < n_sinks) | (seen > row - window))
    scores = np.where(visible, scores / np.sqrt(shape.head_dim), -np.inf)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: Float64 = np.einsum("hpa,ahd->phd", scores, value).reshape(n, -1)
    return mixed @ layer["attn_output"].T


def _turn(x: Float64, positions: NDArray[np.intp]) -> Float64:
    """Rotary positions [n] of x [n, n_heads, head_dim], neighbouring numbers a pair."""
    pairs = np.ascontiguousarray(x).view(np.complex128)
    frequencies = ROPE_BASE ** -(np.arange(pairs.shape[-1]) / pairs.shape[-1])
    turned = pairs * np.exp(1j * positions[:, None, None] * frequencies)
    numbers: Float64 = turned.view(np.float64)
    return numbers


def _norm(x: Float64, weight: Float64) -> Float64:
    scaled: Float64 = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + RMS_EPSILON) * weight
    return scaled
