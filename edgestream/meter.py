# SPDX-License-Identifier: Apache-2.0
"""What a session costs and how loud its input is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SILENCE_DBFS = -100.0  # shown for digital silence instead of minus infinity


@dataclass(slots=True)
class Meter:
    """Running figures of one session."""

    heard_ms: float = 0.0  # audio taken in
    compute_ms: float = 0.0  # time spent on it
    worst_behind_ms: float = 0.0  # largest distance to the source's clock
    lost_ms: float = 0.0  # audio lost in gaps
    n_words: int = 0  # words made final
    level_dbfs: float = SILENCE_DBFS  # RMS of the last block

    def push(self, samples: NDArray[np.float32], rate_hz: int, compute_s: float) -> None:
        """Counts one block of samples [n] that took `compute_s` seconds."""
        self.heard_ms += 1000 * len(samples) / rate_hz
        self.compute_ms += 1000 * compute_s
        if len(samples):
            power = float(np.mean(np.square(samples, dtype=np.float64)))
            self.level_dbfs = max(SILENCE_DBFS, 10 * math.log10(power + 1e-30))

    @property
    def real_time_factor(self) -> float:
        """Compute time per time of audio; below 1 keeps up."""
        return self.compute_ms / self.heard_ms if self.heard_ms else 0.0
