# SPDX-License-Identifier: Apache-2.0
"""Rotary position embedding on the host (Su et al. 2021): angles in double, so that hours of
positions stay exact where float32 angles would not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
LLAMA3_KEYS = (
    "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings",
)  # fmt: skip


def inverse_frequencies(config: Mapping[str, Any], head_dim: int) -> Doubles:
    """Angle per position of each pair [head_dim / 2], from the keys of a Hugging Face
    `config.json`; the scalings `linear` and `llama3` as `transformers` defines them.

    Raises:
        ModelError: the file asks for another scaling, or its numbers are missing or no numbers.
    """
    rope = dict(config.get("rope_scaling") or {}) | dict(config.get("rope_parameters") or {})
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in ("default", "linear", "llama3"):
        raise ModelError(f"config: rope scaling {kind!r} is not supported; default, linear, llama3")
    try:
        theta = float(rope.get("rope_theta", config.get("rope_theta", 10000.0)))
        share = float(config.get("partial_rotary_factor", rope.get("partial_rotary_factor", 1)))
        if not 0 < theta < math.inf:
            raise ValueError(f"rope_theta {theta}")
        frequencies = theta ** (-2.0 * np.arange(head_dim // 2) / head_dim)
        if kind == "linear":
            frequencies /= float(rope["factor"])
        if kind == "llama3":
            frequencies = _llama3(frequencies, *(float(rope[key]) for key in LLAMA3_KEYS))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"config: the rope numbers are not usable ({error!r})") from None
    if share != 1:
        raise ModelError(f"config: partial_rotary_factor {share:g}; only whole heads can be turned")
    return frequencies


def _llama3(frequencies: Doubles, factor: float, low: float, high: float, length: float) -> Doubles:
    turns = length * frequencies / (2 * math.pi)  # in the context that the model was trained with
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - share) * frequencies / factor + share * frequencies


def turned(keys: Floats, angles: Doubles) -> Floats:
    """Keys [..., head_dim] with pair i, the numbers i and i + head_dim / 2, turned by `angles`
    [..., head_dim / 2]."""
    half = keys.shape[-1] // 2
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    left, right = keys[..., :half], keys[..., half:]
    return np.concatenate([left * cos - right * sin, left * sin + right * cos], axis=-1)
