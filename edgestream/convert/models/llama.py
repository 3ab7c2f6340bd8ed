# SPDX-License-Identifier: Apache-2.0
"""What is converted: a llama's hyper-parameters and its weights under Hugging Face's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.convert.models.decoder_config import (
    ARCHITECTURES,
    DecoderConfig,
    read_decoder_config,
)
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields

Floats = NDArray[np.float32]
LLAMA = ARCHITECTURES["llama"]


@dataclass(frozen=True)
class LlamaConfig:
    """Hyper-parameters, and the tokens' texts.

    Raises:
        ModelError: of another decoder, or with positions that the writers do not write.
    """

    decoder: DecoderConfig
    token_texts: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        met, scaling = self.decoder.architecture, self.decoder.rope.scaling
        if met != LLAMA or scaling not in ("none", "linear"):
            raise ModelError(
                f"config: {met.gguf} with the rope scaling {scaling}; written as ONNX are llamas"
            )

    @classmethod
    def from_hugging_face(cls, config: Mapping[str, Any]) -> LlamaConfig:
        """From the keys of a `config.json`; refuses what the writers do not write."""
        fields = Fields(dict(config), "config")
        fields.refuse("model_type", "llama")
        return cls(read_decoder_config(fields, LLAMA))

    @property
    def inv_freq(self) -> list[float]:
        """RoPE's angle per position of each pair [head_dim / 2]."""
        rope, pairs = self.decoder.rope, np.arange(self.decoder.head_dim // 2)
        plain = rope.theta ** (-2.0 * pairs / self.decoder.head_dim) / rope.factor
        return [float(angle) for angle in plain / np.array(rope.factors or 1.0)]


def checked_weights(weights: Mapping[str, Any], config: DecoderConfig) -> dict[str, Floats]:
    """All weights as float32 arrays; a tied output is the embedding.

    `weights` maps Hugging Face's names to arrays or to PyTorch tensors (a `state_dict`).

    Raises:
        ModelError: one is missing or has another shape.
    """
    checked = {}
    for name, _, shape in config.shapes():
        if name not in weights:
            raise ModelError(f"weights: {name} is missing")
        checked[name] = _float32(weights[name])
        if checked[name].shape != shape:
            raise ModelError(f"weights: {name} has the shape {checked[name].shape}, not {shape}")
        if not np.isfinite(checked[name]).all():
            raise ModelError(f"weights: {name} holds a number that is not finite")
    checked.setdefault("lm_head.weight", checked["model.embed_tokens.weight"])
    return checked


def _float32(weight: Any) -> Floats:
    if hasattr(weight, "detach"):  # a tensor, perhaps of a type that numpy has not
        weight = weight.detach().to("cpu").float().numpy()
    return np.asarray(weight, np.float32)
