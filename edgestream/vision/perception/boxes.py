# SPDX-License-Identifier: Apache-2.0
"""Boxes: left, top, right, bottom in pixels of the picture that is looked at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDES = ("left", "top", "right", "bottom")
MARGIN = 0.02  # of a picture's side: what ends there is at its border


class Box(NamedTuple):
    """A part of a picture, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """In square pixels."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def size(self) -> float:
        """The side of a square as large as it."""
        return float(np.sqrt(self.area))

    @property
    def centre(self) -> NDArray[np.float64]:
        """Its middle, [x, y]."""
        return np.array([(self.left + self.right) / 2, (self.top + self.bottom) / 2])

    def moved(self, by: NDArray[np.float64]) -> Box:
        """The box somewhere else."""
        x, y = float(by[0]), float(by[1])
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def scaled(self, x: float, y: float) -> Box:
        """The box in a picture that is `x` times as wide and `y` times as high."""
        return Box(self.left * x, self.top * y, self.right * x, self.bottom * y)

    def within(self, width: float, height: float) -> Box:
        """The part of it that lies in a picture of that size."""
        across = [min(max(0.0, at), width) for at in (self.left, self.right)]
        down = [min(max(0.0, at), height) for at in (self.top, self.bottom)]
        return Box(across[0], down[0], across[1], down[1])

    def mixed(self, other: Box, share: float) -> Box:
        """Between this box and `other`, of which it takes `share`."""
        return Box(*(mine + share * (its - mine) for mine, its in zip(self, other, strict=True)))


def overlap(one: Box, other: Box) -> float:
    """The area that both have."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0.0, width) * max(0.0, height)


def iou(one: Box, other: Box) -> float:
    """The area that both have, of the area that either has; 1 where they are the same."""
    both = overlap(one, other)
    either = one.area + other.area - both
    return both / either if either > 0 else 0.0


def inside(one: Box, other: Box) -> float:
    """The share of `one` that lies in `other`."""
    return overlap(one, other) / one.area if one.area > 0 else 0.0


def union(one: Box, other: Box) -> Box:
    """The smallest box around both."""
    return Box(
        min(one.left, other.left), min(one.top, other.top),
        max(one.right, other.right), max(one.bottom, other.bottom),
    )  # fmt: skip


def touched(box: Box, width: float, height: float) -> list[str]:
    """The sides of a picture of that size at which the box ends."""
    x, y = MARGIN * width, MARGIN * height
    at = (box.left <= x, box.top <= y, box.right >= width - x, box.bottom >= height - y)
    return [side for side, touches in zip(SIDES, at, strict=True) if touches]


def apart(one: Box, other: Box) -> float:
    """Distance of the middles in sizes of the boxes, which are as large as each other at 1."""
    return float(np.linalg.norm(one.centre - other.centre)) / max(1.0, (one.size + other.size) / 2)
