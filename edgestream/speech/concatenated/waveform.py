# SPDX-License-Identifier: Apache-2.0
"""Samples on their way to an encoder that hears them as they are, and silence before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Lead:
    """Puts `n_samples` of silence before the first sample, as some models were trained."""

    def __init__(self, n_samples: int) -> None:
        self._n_samples = n_samples
        self._started = False

    def push(self, samples: Floats) -> Floats:
        """Samples [n] to samples [n], the first ones with the silence before them."""
        if self._started or not len(samples):
            return samples
        self._started = True
        return np.concatenate([np.zeros(self._n_samples, np.float32), samples])

    def finish(self) -> Floats:
        """Nothing waits here."""
        return np.empty(0, np.float32)

    def reset(self) -> None:
        """Back to an empty stream."""
        self._started = False


class Waveform:
    """Samples as frames of one number, in the place of a mel."""

    def push(self, samples: Floats) -> Floats:
        """Samples [n] to frames [n, 1]."""
        return samples[:, None]

    def finish(self) -> Floats:
        """Nothing waits here."""
        return np.empty((0, 1), np.float32)

    def reset(self) -> None:
        """Nothing is kept."""
