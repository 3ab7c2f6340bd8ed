# SPDX-License-Identifier: Apache-2.0
"""Bounded automatic contrast: a dark or pale picture as if it had been lit well."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
LOW, HIGH = 1.0, 99.0  # percent of the pixels below what becomes black, and white
BLACK, WHITE = 16.0, 235.0  # what they become
MAX_GAIN = 12.0  # of noise too
NOISY_GAIN = 2.5  # above it noise is smoothed away first
MIX = 0.1  # of the newest picture in the bounds, so that they do not flicker
JUMP = 0.25  # of the range: bounds that moved so far are taken over at once
SAMPLED = 4  # every so many pixels each way tell the bounds


class Contrast:
    """Stretches the levels of pictures so that they fill the range; those that do stay as they are.

    Levels are stretched by one line for all colours, at most MAX_GAIN times.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The next picture is a first one."""
        self._bounds: NDArray[np.float64] | None = None

    @property
    def gain(self) -> float:
        """How many times levels were stretched in the last picture."""
        if self._bounds is None:
            return 1.0
        low, high = self._bounds
        return float(np.clip((WHITE - BLACK) / max(1.0, high - low), 1.0, MAX_GAIN))

    def push(self, rgb: Rgb) -> Rgb:
        """uint8 [height, width, 3] as it is looked at."""
        light = rgb[::SAMPLED, ::SAMPLED].max(2)
        bounds = np.percentile(light, (LOW, HIGH))
        old = self._bounds
        if old is None or np.abs(bounds - old).max() > JUMP * max(8.0, old[1] - old[0]):
            self._bounds = bounds
        else:
            self._bounds = old + MIX * (bounds - old)
        return self.apply(rgb)

    def apply(self, rgb: Rgb) -> Rgb:
        """The same stretching of the same picture in another size."""
        gain = self.gain
        if gain <= 1.0 or self._bounds is None:
            return rgb
        if gain > NOISY_GAIN:
            rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 1.0), np.uint8)
        levels = BLACK + gain * (np.arange(256) - self._bounds[0])
        return np.asarray(cv2.LUT(rgb, np.clip(levels, 0, 255).astype(np.uint8)), np.uint8)
