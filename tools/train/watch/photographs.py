# SPDX-License-Identifier: Apache-2.0
"""Photographs as surfaces: the free ones that come with the Python package scikit-image.

Each is in the public domain (CC0 by its author, or released by NASA or SpaceX), as the docstrings
of `skimage.data` say. Those of the held-out scenes are not in the training ones.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

NAMES = {
    "train": ("astronaut", "coffee", "brick", "grass", "camera", "clock"),
    "held-out": ("chelsea", "gravel", "rocket"),
}
SMALLEST_PART = 0.35  # of a photograph's shorter side


@cache
def _photograph(name: str) -> NDArray[np.float32]:
    """RGB [h, w, 3] in [0, 1]."""
    from skimage import data

    rgb = np.float32(getattr(data, name)()) / 255
    return rgb if rgb.ndim == 3 else np.repeat(rgb[..., None], 3, 2)


def photograph(
    size: tuple[int, int], which: str, random: np.random.Generator
) -> NDArray[np.float32]:
    """A part of a photograph at `size` (width, height), perhaps mirrored, in other light."""
    names = NAMES[which]
    whole = _photograph(names[random.integers(len(names))])
    high, wide = whole.shape[:2]
    scale = min(high / size[1], wide / size[0])
    scale *= random.uniform(SMALLEST_PART, 1)
    h, w = int(size[1] * scale), int(size[0] * scale)
    y, x = random.integers(0, high - h + 1), random.integers(0, wide - w + 1)
    part = cv2.resize(whole[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)
    if random.random() < 0.5:
        part = part[:, ::-1]
    grey = part.mean(2, keepdims=True)
    part = grey + random.uniform(0.2, 1.0) * (part - grey)
    return np.ascontiguousarray(part ** np.float32(random.uniform(0.6, 1.6)), np.float32)
