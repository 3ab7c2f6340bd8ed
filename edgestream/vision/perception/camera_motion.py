# SPDX-License-Identifier: Apache-2.0
"""How the camera moved from one picture to the next: corners that go the same way all over it.

Corners are followed by the method of Lucas and Kanade in pyramids, and the motion that most of them
share is found by RANSAC: both OpenCV's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.system.opencv import cv2

Grey = NDArray[np.uint8]
MAX_CORNERS, QUALITY, APART_PX = 80, 0.02, 6
MIN_CORNERS = 12
MAX_ERROR_PX = 1.5  # of a corner to the shared motion
MIN_SHARE = 0.6  # of the corners that must share it
MAX_REST = 0.7  # of the difference of two pictures, that is left when one is moved
CELLS, MIN_CELLS = 3, 5  # rows and columns of the picture, and how many of them must have corners
MIN_AGREE = 0.75  # of those with corners


class Motion(NamedTuple):
    """Of the whole picture: shift of its content in its own width and height, and zoom."""

    x: float
    y: float
    zoom: float  # above 1: what is seen gets larger


STILL = Motion(0.0, 0.0, 1.0)


def camera_motion(before: Grey, now: Grey) -> Motion | None:
    """The motion that most of two pictures, uint8 [height, width], share; None if there is none.

    Nothing moved is a motion too; what moves before a camera that stands is not.
    """
    corners = cv2.goodFeaturesToTrack(before, MAX_CORNERS, QUALITY, APART_PX)
    if corners is None or len(corners) < MIN_CORNERS:
        return None
    found, ok, _ = cv2.calcOpticalFlowPyrLK(
        before, now, corners, np.empty_like(corners), winSize=(15, 15), maxLevel=3
    )
    kept = ok.reshape(-1).astype(bool)
    if kept.sum() < MIN_CORNERS:
        return None
    old, new = corners.reshape(-1, 2), found.reshape(-1, 2)
    matrix, shared = cv2.estimateAffinePartial2D(
        old[kept], new[kept], method=cv2.RANSAC, ransacReprojThreshold=MAX_ERROR_PX
    )
    if matrix is None:
        return None
    agree = np.zeros(len(old), bool)
    agree[np.flatnonzero(kept)[shared.reshape(-1).astype(bool)]] = True
    if agree.mean() < MIN_SHARE or _spread(old, agree, before.shape) < MIN_AGREE:
        return None
    if not _explains(np.asarray(matrix, np.float64), before, now):
        return None
    height, width = before.shape
    centre = np.array([width / 2, height / 2])
    shift = matrix[:, :2] @ centre + matrix[:, 2] - centre
    zoom = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return Motion(float(shift[0]) / width, float(shift[1]) / height, zoom)


def _explains(matrix: NDArray[np.float64], before: Grey, now: Grey) -> bool:
    """Whether the picture before, moved so, is more like the one now than it is unmoved."""
    height, width = before.shape
    moved = cv2.warpAffine(before, matrix, (width, height))
    inside = cv2.warpAffine(np.ones_like(before), matrix, (width, height)) > 0
    away, unmoved = cv2.absdiff(moved, now)[inside], cv2.absdiff(before, now)[inside]
    still = np.hypot(*(matrix[:, 2])) < 0.5 and abs(np.hypot(*matrix[:, 0]) - 1) < 0.002
    return bool(still or away.mean() < MAX_REST * unmoved.mean())


def _spread(corners: NDArray[Any], agree: NDArray[np.bool_], shape: tuple[int, ...]) -> float:
    """Of the cells that have corners, the share in which most agree; 0 where too few have."""
    height, width = shape
    cells = (corners / (width / CELLS, height / CELLS)).astype(int).clip(0, CELLS - 1)
    numbers = cells[:, 1] * CELLS + cells[:, 0]
    n = np.bincount(numbers, minlength=CELLS**2)
    n_agree = np.bincount(numbers, weights=agree, minlength=CELLS**2)
    if (n > 0).sum() < MIN_CELLS:
        return 0.0
    return float((n_agree[n > 0] > n[n > 0] / 2).mean())
