# SPDX-License-Identifier: Apache-2.0
"""The main colour of a thing, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream.system.opencv import cv2

# Hues of OpenCV, 0 to 179 for once around the circle, up to which a name holds.
HUES = (
    (8, "red"), (20, "orange"), (34, "yellow"), (84, "green"), (128, "blue"), (155, "purple"),
    (179, "red"),
)  # fmt: skip
GREY_CHROMA = 32  # levels between the strongest and the weakest colour of a pixel
BLACK, WHITE = 70, 165  # levels of the strongest colour, of a grey pixel
BROWN_BELOW = 150  # an orange or yellow darker than this
SIDE_PX = 24  # of what is looked at
INNER = 0.2  # of a box's sides that is left out: background
MIN_SHARE = 0.4  # of the pixels, that a name needs
NAMES = ("black", "grey", "white", "brown", *dict.fromkeys(name for _, name in HUES))


def main_colour(rgb: NDArray[np.uint8]) -> str:
    """The name that most pixels of uint8 [height, width, 3] have; empty where none has many."""
    if not rgb.size:
        return ""
    top, left = (int(INNER * n) for n in rgb.shape[:2])
    inner = np.s_[top : max(top + 1, rgb.shape[0] - top), left : max(left + 1, rgb.shape[1] - left)]
    small = cv2.resize(rgb[inner], (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    names = _names(np.asarray(small, np.uint8))
    counts = np.bincount(names.reshape(-1), minlength=len(NAMES))
    best = int(counts.argmax())
    return NAMES[best] if counts[best] >= MIN_SHARE * names.size else ""


def _names(rgb: NDArray[np.uint8]) -> NDArray[np.intp]:
    """For each pixel the number of its name."""
    hsv = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)).astype(int)
    light = hsv[..., 2]
    chroma = light * hsv[..., 1] // 255
    ends = np.array([end for end, _ in HUES])
    numbers = np.array([NAMES.index(name) for _, name in HUES])
    named = numbers[np.minimum(np.searchsorted(ends, hsv[..., 0]), len(ends) - 1)]
    warm = (hsv[..., 0] > HUES[0][0]) & (hsv[..., 0] <= HUES[2][0])
    named[warm & (light < BROWN_BELOW)] = NAMES.index("brown")
    grey = (chroma < GREY_CHROMA) | (light < BLACK // 2)
    named[grey] = np.where(light < BLACK, 0, np.where(light < WHITE, 1, 2))[grey]
    return named
