# SPDX-License-Identifier: Apache-2.0
"""Early exit in float64, row by row."""

from __future__ import annotations

import numpy as np
from float64_llama import Float64Llama


class Float64Exit(Float64Llama):
    """A row that is sure after `exit_layer` layers goes no further; the layers behind make its keys
    and values of what it is there.
    """

    def __init__(self, *args, exit_layer: int, exit_threshold: float, **options) -> None:
        super().__init__(*args, **options)
        self.exit_layer, self.exit_threshold = exit_layer, exit_threshold
        # Of every row: the probability of its likeliest token at the exit.
        self.confidences: list[float] = []

    @property
    def n_exits(self) -> int:
        return sum(c >= self.exit_threshold for c in self.confidences)

    def _one(self, x: np.ndarray) -> np.ndarray:
        for i in range(self.exit_layer):
            x = self._layer(x, i)
        logits = self._logits(x)
        scores = np.exp(logits - logits.max())
        self.confidences.append(float((scores / scores.sum()).max()))
        exits = self.confidences[-1] >= self.exit_threshold
        for i in range(self.exit_layer, self.shape.n_layers):
            if exits:
                self._remember(self._norm(x, f"blk.{i}.attn_norm.weight"), i)
            else:
                x = self._layer(x, i)
        self.pos += 1
        return logits if exits else self._logits(x)
