# SPDX-License-Identifier: Apache-2.0
"""Attention of a streaming encoder over a ring, beside attention over all rows in float64."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgestream.convert.onnx.stream import StreamGraph, WindowAttention
from edgestream.onnx.encoder import Encoder, EncoderWeights

HEAD_DIM = 4
INV_FREQ = np.array([1.0, 0.3])


def write(path, weights, n_rows, window, n_heads, n_kv_heads):
    """A graph of one layer: rows are projected and mixed, and the last one comes out."""
    graph = StreamGraph()
    attention = WindowAttention(
        graph, n_rows=n_rows, window=window, n_heads=n_heads, n_kv_heads=n_kv_heads,
        head_dim=HEAD_DIM, inv_freq=INV_FREQ,
    )  # fmt: skip
    mixed = attention.mix(*(graph.linear("mel", weight) for weight in weights))
    width = n_heads * HEAD_DIM
    flat = graph.reshape(mixed, 1, 1, n_rows * width)
    shape = [1, n_rows, weights[0].shape[1]]
    inputs = [helper.make_tensor_value_info("mel", TensorProto.FLOAT, shape)]
    graph.write(path, inputs, flat, n_rows * width)
    return EncoderWeights(path, input_name="mel", chunk_shape=tuple(shape[1:]))


def mixed(rows, weights, window, n_heads, n_kv_heads):
    """Every row over itself and the window - 1 rows before it [n, n_heads * HEAD_DIM]."""
    rows = rows.astype(np.float64)
    angles = np.arange(len(rows))[:, None] * INV_FREQ
    q, k, v = (
        (rows @ weight.T.astype(np.float64)).reshape(len(rows), -1, HEAD_DIM) for weight in weights
    )
    q, k = (_rotated(each, angles) for each in (q, k))
    k, v = (each.repeat(n_heads // n_kv_heads, axis=1) for each in (k, v))
    out = np.empty_like(q)
    for i in range(len(rows)):
        first = max(0, i + 1 - window)
        scores = np.einsum("hd,nhd->hn", q[i], k[first : i + 1]) / HEAD_DIM**0.5
        weight = np.exp(scores - scores.max(-1, keepdims=True))
        weight /= weight.sum(-1, keepdims=True)
        out[i] = np.einsum("hn,nhd->hd", weight, v[first : i + 1])
    return out.reshape(len(rows), -1)


def _rotated(x, angles):
    left, right = np.split(x, 2, axis=-1)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    return np.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


@settings(max_examples=30)
@given(
    n_rows=st.integers(1, 4), window=st.integers(2, 13), n_chunks=st.integers(1, 30),
    heads=st.sampled_from([(1, 1), (2, 2), (4, 2)]), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_ring_gives_what_all_rows_give(tmp_path_factory, n_rows, window, n_chunks, heads, seed):
    rng, (n_heads, n_kv_heads) = np.random.default_rng(seed), heads
    widths = (n_heads, n_kv_heads, n_kv_heads)
    weights = [rng.normal(0, 1, (n * HEAD_DIM, 3)).astype(np.float32) for n in widths]
    path = tmp_path_factory.getbasetemp() / "ring.onnx"
    encoder = Encoder(write(path, weights, n_rows, window, n_heads, n_kv_heads))
    rows = rng.normal(0, 1, (n_chunks * n_rows, 3)).astype(np.float32)
    expected = mixed(rows, weights, window, n_heads, n_kv_heads)
    for _ in range(2):
        given = encoder.push(rows.reshape(n_chunks, n_rows, 3))
        assert np.abs(given.reshape(expected.shape) - expected).max() < 1e-4
        encoder.reset()


def test_a_chunk_replaces_its_own_rows_and_no_others(tmp_path):
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 1, (2 * HEAD_DIM, 3)).astype(np.float32) for _ in range(3)]
    encoder = Encoder(write(tmp_path / "ring.onnx", weights, 2, 9, 2, 2))
    assert encoder._states[0]["ring.0"] is encoder._states[1]["ring.0"]
    for i in range(12):
        before = {name: a.copy() for name, a in encoder._states[0].items() if "ring" in name}
        encoder.push(rng.normal(0, 1, (1, 2, 3)).astype(np.float32))
        assert set(before) == {"ring.0", "ring.1"}
        for name, old in before.items():
            changed = (encoder._states[0][name] != old).any((0, 2))
            slots = old.shape[1]
            assert slots == 10  # 8 rows before the chunk, and the chunk
            assert np.flatnonzero(changed).tolist() == [2 * i % slots, 2 * i % slots + 1]
