# SPDX-License-Identifier: Apache-2.0
"""The operators of exported decoders, tried out before they are relied on.

Some versions of onnxruntime lack them and some compute them wrongly: each is run on a tiny graph
(data/operators, written by tools/make/operator_graphs.py) and compared with numpy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from edgestream.data import DATA
from edgestream.errors import ModelError
from edgestream.onnx.rope import turned
from edgestream.onnx.session import CPU, one_line, open_session

GRAPHS = DATA / "operators"
TOLERANCE = 1e-4  # float32 sums of some tens of products; 8-bit activations of MatMulNBits aside
FOUR_BIT_TOLERANCE = 0.05
Arrays = dict[str, Any]


def _tensor_scatter(rng: np.random.Generator) -> tuple[Arrays, Any]:
    past, rows = _normal(rng, 1, 2, 10, 8), _normal(rng, 1, 2, 3, 8)
    present = past.copy()
    present[:, :, 4:7] = rows
    return {"past": past, "rows": rows, "index": np.array([4])}, present


def _attention(rng: np.random.Generator) -> tuple[Arrays, Any]:
    q, k, v = _normal(rng, 1, 4, 3, 8), _normal(rng, 1, 2, 10, 8), _normal(rng, 1, 2, 10, 8)
    bias = np.where(rng.random((1, 1, 3, 10)) < 0.5, 0, -1e30).astype(np.float32)
    bias[..., 0] = 0
    keys, values = np.repeat(k, 2, axis=1), np.repeat(v, 2, axis=1)
    scores = np.exp(q.astype(float) @ keys.swapaxes(2, 3) / np.sqrt(8) + bias)
    mixed = scores / scores.sum(-1, keepdims=True) @ values
    return {"q": q, "k": k, "v": v, "bias": bias}, mixed


def _group_query_attention(rng: np.random.Generator) -> tuple[Arrays, Any]:
    """The new row goes to slot 4 and sees what lies up to there; the fifth and sixth are hidden."""
    q, k, v = _normal(rng, 1, 1, 32), _normal(rng, 1, 1, 16), _normal(rng, 1, 1, 16)
    past_k, past_v = _normal(rng, 1, 2, 6, 8), _normal(rng, 1, 2, 6, 8)
    keys, values = (
        np.concatenate([past[:, :, :4], row.reshape(1, 2, 1, 8)], axis=2).repeat(2, axis=1)
        for past, row in ((past_k, k), (past_v, v))
    )
    scores = np.exp(q.reshape(1, 4, 1, 8).astype(float) @ keys.swapaxes(2, 3) / np.sqrt(8))
    mixed = scores / scores.sum(-1, keepdims=True) @ values
    lengths = {"last": np.array([4], np.int32), "total": np.array(5, np.int32)}
    inputs = {"q": q, "k": k, "v": v, "past_k": past_k, "past_v": past_v}
    return inputs | lengths, mixed.reshape(1, 1, 32)


def _rotary_embedding(rng: np.random.Generator) -> tuple[Arrays, Any]:
    x, angles = _normal(rng, 1, 3, 16), rng.random((1, 3, 4))
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    heads = turned(x.reshape(1, 3, 2, 8), angles[:, :, None])
    return {"x": x, "cos": cos, "sin": sin}, heads.reshape(1, 3, 16)


def _rms_normalization(rng: np.random.Generator) -> tuple[Arrays, Any]:
    x, scale = _normal(rng, 1, 3, 16), _normal(rng, 16)
    return {"x": x, "scale": scale}, x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * scale


def _mat_mul_n_bits(rng: np.random.Generator) -> tuple[Arrays, Any]:
    # The graph holds one block a row: nibble j of row i is (i + j) % 16, its scale 1 / (i + 1).
    x = _normal(rng, 1, 3, 32)
    row, column = np.mgrid[:4, :32]
    return {"x": x}, x @ (((row + column) % 16 - 8) / (row + 1)).T


CASES: dict[str, Callable[[np.random.Generator], tuple[Arrays, Any]]] = {
    "TensorScatter": _tensor_scatter,
    "Attention": _attention,
    "RotaryEmbedding": _rotary_embedding,
    "RMSNormalization": _rms_normalization,
    "GroupQueryAttention": _group_query_attention,
    "MatMulNBits": _mat_mul_n_bits,
}


@functools.cache
def check_operators(providers: tuple[str, ...] = (CPU,)) -> tuple[str, ...]:
    """Tries all of them, once per process; returns their names.

    Raises:
        ModelError: onnxruntime lacks one or computes it wrongly; names it and the way out.
    """
    for name, case in CASES.items():
        inputs, expected = case(np.random.default_rng(0))
        try:
            session = open_session((GRAPHS / f"{name}.onnx").read_bytes(), providers=providers)
            result = session.run(None, inputs)[0]
        except Exception as error:  # onnxruntime raises its own types, not one base
            raise _refusal(name, f"does not run {name} ({one_line(error)})") from None
        limit = FOUR_BIT_TOLERANCE if name == "MatMulNBits" else TOLERANCE
        off = np.abs(result - expected).max() / np.abs(expected).max()
        if result.shape != expected.shape or not off <= limit:
            raise _refusal(name, f"computes {name} wrongly (off by {off:.2g})")
    return tuple(CASES)


def providers_used(asked: tuple[str, ...]) -> tuple[str, ...]:
    """Those that onnxruntime takes when `asked`; it drops in silence what cannot be loaded."""
    graph = (GRAPHS / "Attention.onnx").read_bytes()
    return tuple(open_session(graph, providers=asked).get_providers())


def _refusal(name: str, finding: str) -> ModelError:
    import onnxruntime as ort

    return ModelError(
        f"onnxruntime {ort.__version__} {finding}; pip install 'onnxruntime>=1.25.1' on Python 3.11"
        " or newer, or use a GGUF decoder"
    )


def _normal(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)
