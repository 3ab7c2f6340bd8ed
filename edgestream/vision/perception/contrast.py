# SPDX-License-Identifier: Apache-2.0
"""Bounded automatic contrast: a dark or pale picture as if it had been lit well."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.system.opencv import cv2

Rgb = NDArray[np.uint8]
LOW, HIGH = 1.0, 99.0  # percent of the pixels below what becomes black, and white
BLACK, WHITE = 16.0, 235.0  # what they become
MAX_GAIN = 12.0  # of noise too
NOISY_GAIN = 2.5  # above it noise is smoothed away first
OTHER = 1.6  # times the gain, that another light wants
PATIENCE = 15  # pictures in a row that want it: a white shirt wants it only for a while
SAMPLED = 4  # every so many pixels each way tell the bounds


class Contrast:
    """Stretches the levels of pictures so that they fill the range; those that do stay as they are.

    Levels are stretched by one line for all colours, at most MAX_GAIN times. The line stays the
    same until the light is another one: who compares pictures must see the same ones.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The next picture is a first one."""
        self._low, self.gain = 0.0, 0.0
        self._n_other = 0

    def push(self, rgb: Rgb) -> bool:
        """Takes uint8 [height, width, 3]; whether the line is another one from now on."""
        light = rgb[::SAMPLED, ::SAMPLED].max(2)
        low, high = np.percentile(light, (LOW, HIGH))
        gain = float(np.clip((WHITE - BLACK) / max(1.0, high - low), 1.0, MAX_GAIN))
        first = not self.gain
        other = max(gain / max(1.0, self.gain), self.gain / gain) > OTHER
        self._n_other = self._n_other + 1 if other else 0
        if first or self._n_other > PATIENCE:
            self._low, self.gain, self._n_other = float(low), gain, 0
            return not first
        return False

    def apply(self, rgb: Rgb) -> Rgb:
        """A picture of any size as it is looked at."""
        if self.gain <= 1.0:
            return rgb
        if self.gain > NOISY_GAIN:
            rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 1.0), np.uint8)
        levels = BLACK + self.gain * (np.arange(256) - self._low)
        return np.asarray(cv2.LUT(rgb, np.clip(levels, 0, 255).astype(np.uint8)), np.uint8)
