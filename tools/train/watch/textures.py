# SPDX-License-Identifier: Apache-2.0
"""Surfaces made by program: backgrounds, and the colours and patterns of what moves.

Families of the training and of the held-out scenes are disjoint, shapes too.
"""

from __future__ import annotations

import colorsys
import copy
import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from vocabulary import COLOURS

Image = NDArray[np.float32]  # [h, w, 3] RGB in [0, 1]
Mask = NDArray[np.float32]  # [h, w] in [0, 1]
Shape = Callable[[Mask, Mask, np.random.Generator], NDArray[np.bool_]]

HUES = {"red": (-0.03, 0.02), "orange": (0.06, 0.095), "yellow": (0.135, 0.17),
        "green": (0.27, 0.42), "blue": (0.55, 0.67), "purple": (0.74, 0.83)}  # fmt: skip
GREYS = {"white": (0.88, 1.0), "grey": (0.42, 0.58), "black": (0.02, 0.12)}


def colour_of(name: str, random: np.random.Generator) -> Image:
    """An RGB [3] that people would call `name`."""
    if name in GREYS:
        level = random.uniform(*GREYS[name])
        return np.float32(np.clip(level + random.uniform(-0.02, 0.02, 3), 0, 1))
    hue = random.uniform(*HUES[name]) % 1.0
    low = 0.78 if name in ("orange", "yellow") else 0.5
    return np.float32(colorsys.hsv_to_rgb(hue, random.uniform(0.7, 1), random.uniform(low, 1)))


def clouds(size: tuple[int, int], random: np.random.Generator, coarse: int, octaves: int) -> Mask:
    """Noise of several scales, in [0, 1]."""
    width, height = size
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cells = coarse * 2**octave
        grid = random.random((max(2, cells * height // width), cells), np.float32)
        total += cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC) / 1.7**octave
    return (total - total.min()) / max(1e-6, float(np.ptp(total)))


def _between(mask: Mask, random: np.random.Generator) -> Image:
    """Two muted colours, mixed by a mask."""
    ends = (
        random.uniform(0.1, 0.9)
        + random.uniform(-0.28, 0.28, (2, 1))
        + random.uniform(-0.1, 0.1, (2, 3))
    )
    low, high = np.clip(ends, 0.02, 0.98).astype(np.float32)
    return low + (high - low) * mask[..., None]


def _grid(size: tuple[int, int]) -> tuple[Mask, Mask]:
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    return np.float32(x / size[0]), np.float32(y / size[0])


def cloudy(size: tuple[int, int], random: np.random.Generator) -> Image:
    return _between(clouds(size, random, int(random.integers(2, 9)), 4), random)


def sloped(size: tuple[int, int], random: np.random.Generator) -> Image:
    x, y = _grid(size)
    angle = random.uniform(0, 2 * np.pi)
    return _between(np.clip(0.5 + np.cos(angle) * (x - 0.5) + np.sin(angle) * y, 0, 1), random)


def wooden(size: tuple[int, int], random: np.random.Generator) -> Image:
    x, y = _grid(size)
    warp = clouds(size, random, 3, 3)
    along = y if random.random() < 0.5 else x
    return _between(0.5 + 0.5 * np.sin(along * random.uniform(30, 120) + 9 * warp), random)


def bricked(size: tuple[int, int], random: np.random.Generator) -> Image:
    x, y = _grid(size)
    high = random.uniform(0.05, 0.15)
    row = np.floor(y / high)
    joint = ((x + 0.5 * high * (row % 2)) % (2 * high) < 0.01) | (y % high < 0.01)
    grain = clouds(size, random, 16, 3)
    return _between(np.where(joint, 0, 0.55 + 0.45 * grain).astype(np.float32), random)


def furnished(size: tuple[int, int], random: np.random.Generator) -> Image:
    """Walls with rectangles on them: windows, shelves, pictures."""
    image = sloped(size, random)
    for _ in range(int(random.integers(3, 12))):
        w, h = random.integers(8, size[0] // 2), random.integers(8, size[1] // 2)
        x, y = random.integers(-8, size[0]), random.integers(-8, size[1])
        part = image[max(0, y) : max(0, y + h), max(0, x) : max(0, x + w)]
        if part.size:
            shade = cloudy((part.shape[1], part.shape[0]), random)
            part[:] = 0.3 * part + 0.7 * shade
    return image


def striped(size: tuple[int, int], random: np.random.Generator) -> Image:
    """Boards or blinds: stripes of any width and shade."""
    x, y = _grid(size)
    angle = random.uniform(0, np.pi)
    edges = np.cumsum(random.uniform(0.015, 0.12, 80)) - 2
    stripe = np.searchsorted(edges, np.cos(angle) * x + np.sin(angle) * y)
    return _between(random.random(81, np.float32)[stripe], random)


def spotted(size: tuple[int, int], random: np.random.Generator) -> Image:
    """Leaves, pebbles or a crowd of small things."""
    image = cloudy(size, random)
    shades = _between(random.random((1, 60), np.float32), random)[0]
    for shade in shades:
        middle = tuple(int(random.integers(0, n)) for n in size)
        axes = tuple(int(v) for v in random.uniform(0.01, 0.06, 2) * size[0] + 1)
        cv2.ellipse(image, middle, axes, random.uniform(0, 180), 0, 360, shade.tolist(), -1)
    return image


def tiled(size: tuple[int, int], random: np.random.Generator) -> Image:
    x, y = _grid(size)
    step = random.uniform(0.06, 0.2)
    board = (np.floor(x / step) + np.floor(y / step)) % 2
    return _between(np.float32(0.8 * board + 0.2 * clouds(size, random, 20, 2)), random)


def woven(size: tuple[int, int], random: np.random.Generator) -> Image:
    x, y = _grid(size)
    a, b = random.uniform(20, 90, 2)
    return _between(
        np.float32(0.5 + 0.25 * np.sin(a * (x + y)) + 0.25 * np.sin(b * (x - y))), random
    )


BACKGROUNDS = {
    "train": (cloudy, sloped, wooden, bricked, furnished, striped, spotted),
    "held-out": (tiled, woven),
}


def ellipse(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    return x**2 + (y / random.uniform(0.55, 1)) ** 2 < 1


def box(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    return (np.abs(x) < 0.9) & (np.abs(y) < random.uniform(0.45, 0.9))


def blob(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    angle, radius = np.arctan2(y, x), np.hypot(x, y)
    edge = 0.78 + sum(
        random.uniform(-0.1, 0.1) * np.sin(k * angle + random.uniform(0, 6.3)) for k in range(2, 6)
    )
    return radius < edge


def figure(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    """A head on a body."""
    return (x**2 + (y + 0.65) ** 2 < 0.1) | ((np.abs(x) < 0.45) & (y > -0.35) & (y < 0.95))


def polygon(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    """Of five to eight corners, some of them dents."""
    n = int(random.integers(5, 9))
    angles = np.sort(2 * np.pi * (np.arange(n) + random.uniform(-0.25, 0.25, n)) / n)
    radii = random.uniform(0.55, 1, n)
    turn = np.arctan2(y, x) % (2 * np.pi)
    edge = np.interp(turn, angles, radii, period=2 * np.pi)
    return np.hypot(x, y) < edge


def ell(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    wide = random.uniform(0.5, 0.8)
    return ((x > -0.9) & (x < wide - 0.9) | (y < 0.9) & (y > 0.9 - wide)) & (
        np.maximum(np.abs(x), np.abs(y)) < 0.9
    )


def lens(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    """Two discs that overlap, side by side."""
    radius = random.uniform(0.5, 0.7)
    return (np.abs(x) - (1 - radius)) ** 2 + y**2 < radius**2


def turned(shape: Shape) -> Shape:
    """The shape at any angle."""

    def at_an_angle(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
        angle = random.uniform(0, 2 * np.pi)
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return shape(c * x - s * y, s * x + c * y, random)

    return at_an_angle


def triangle(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    return (y < 0.75) & (np.abs(x) < (y + 0.95) * 0.55)


def cross(x: Mask, y: Mask, random: np.random.Generator) -> NDArray[np.bool_]:
    wide = random.uniform(0.35, 0.5)
    return ((np.abs(x) < wide) & (np.abs(y) < 0.95)) | ((np.abs(y) < wide) & (np.abs(x) < 0.95))


SHAPES = {
    "train": (
        ellipse, box, blob, figure, polygon, ell, lens, turned(ellipse), turned(box), turned(ell),
        turned(lens), polygon,
    ),
    "held-out": (triangle, cross),
}  # fmt: skip


FILLED = 2.2  # area of a thing in squares of its radius, whatever its shape: that is its size
REACH = 1.3  # how far a shape goes beyond its own radius at most, in radii


def mover(
    radius_px: float, colour: str, which: str, random: np.random.Generator
) -> tuple[Image, Mask]:
    """A thing of one colour, lightly patterned and lit from a side: RGB and its mask, square."""
    shapes = SHAPES[which]
    mask = _shaped(radius_px, shapes[random.integers(len(shapes))], random)
    n = len(mask)
    rgb = np.broadcast_to(colour_of(colour, random), (n, n, 3))
    pattern = clouds((n, n), random, int(random.integers(2, 6)), 2)[..., None]
    depth = random.uniform(0, 0.12 if colour in GREYS else 0.3)
    light = np.linspace(-1, 1, n, dtype=np.float32)[:, None, None] * random.uniform(0, 0.15)
    return np.float32(np.clip(rgb * (1 - depth * pattern - light), 0, 1)), mask


def _shaped(radius_px: float, shape: Shape, random: np.random.Generator) -> Mask:
    """A shape so large that its area is FILLED."""
    coarse = np.linspace(-REACH, REACH, 64, dtype=np.float32)
    x, y = np.meshgrid(coarse, coarse)
    area = shape(x, y, copy.deepcopy(random)).mean() * (2 * REACH) ** 2
    own_radius_px = radius_px * math.sqrt(FILLED / area)
    n = 2 * math.ceil(REACH * own_radius_px) + 3
    across = np.float32((np.arange(n) - (n - 1) / 2) / own_radius_px)
    x, y = np.meshgrid(across, across)
    return cv2.GaussianBlur(np.float32(shape(x, y, random)), (3, 3), 0)


def any_colour(random: np.random.Generator) -> str:
    return COLOURS[random.integers(len(COLOURS))]
