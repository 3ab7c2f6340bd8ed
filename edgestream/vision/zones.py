# SPDX-License-Identifier: Apache-2.0
"""Named parts of the picture, and parts that are not looked at, from a TOML file:

pixels = [1280, 720]  # that the points are counted in; without it they are shares, 0 to 1

[[zone]]
name = "yard"
polygon = [[0, 300], [640, 300], [640, 720], [0, 720]]

[[mask]]
polygon = [[1100, 0], [1280, 0], [1280, 90]]
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError, UsageError
from edgestream.library.toml_file import read_toml

Polygon = NDArray[np.float64]  # [n, 2], x and y as shares of the picture
A_ZONES_FILE = "give a TOML file with a [[zone]] that has a name and a polygon"
LEAST_POINTS = 3


@dataclass(frozen=True, slots=True)
class _Zone:
    name: str
    polygon: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class _Mask:
    polygon: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class _File:
    """What the file may hold."""

    zone: tuple[_Zone, ...] = ()
    mask: tuple[_Mask, ...] = ()
    pixels: tuple[int, ...] | None = None


class Zones:
    """`zones`: a name and a polygon each; `masks`: polygons. All [n, 2], as shares of the picture:
    x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom)."""

    def __init__(self, zones: Iterable[tuple[str, Polygon]], masks: Iterable[Polygon]) -> None:
        self._zones = sorted(zones, key=lambda zone: _area(zone[1]))
        self._masks = list(masks)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all zones, the smallest first."""
        return tuple(name for name, _ in self._zones)

    def zone_at(self, x: float, y: float) -> str | None:
        """The smallest zone around a point, given in shares of the picture; None outside of all."""
        for name, polygon in self._zones:
            if _inside(polygon, np.float64(x), np.float64(y)):
                return name
        return None

    def masked(self, x: float, y: float) -> bool:
        """Whether a point, given in shares of the picture, is one that is not looked at."""
        return any(bool(_inside(mask, np.float64(x), np.float64(y))) for mask in self._masks)

    def mask(self, width: int, height: int) -> NDArray[np.bool_] | None:
        """Of a picture of this size the pixels, by their middles, that are not looked at.

        Bool [height, width]; None where all are looked at.
        """
        if not self._masks:
            return None
        x, y = (np.arange(width) + 0.5) / width, (np.arange(height)[:, None] + 0.5) / height
        found = np.zeros((height, width), np.bool_)
        for mask in self._masks:
            found |= _inside(mask, x, y)
        return found


def read_zones(path: str | os.PathLike[str]) -> Zones:
    """Reads a file of zones and masks.

    Raises:
        UsageError: there is no such file, or it is not as above; one line that says what and where.
    """
    try:
        file = read_toml(Path(path), _File, A_ZONES_FILE)
    except ModelError as error:
        raise UsageError(str(error)) from None
    where = os.fspath(path)
    if not file.zone and not file.mask:
        raise UsageError(f"{where}: neither a zone nor a mask; {A_ZONES_FILE}")
    size = _size(file.pixels, where)
    names = [zone.name for zone in file.zone]
    for number, name in enumerate(names, 1):
        if not name.strip() or not name.isprintable():
            raise UsageError(
                f"{where}: zone {number}: the name {name!r} cannot be shown; change it"
            )
        if name in names[: number - 1]:
            raise UsageError(f"{where}: two zones are called '{name}'; give one another name")
    zones = [
        (zone.name, _polygon(zone.polygon, size, f"{where}: zone '{zone.name}'"))
        for zone in file.zone
    ]
    masks = [
        _polygon(mask.polygon, size, f"{where}: mask {number}")
        for number, mask in enumerate(file.mask, 1)
    ]
    return Zones(zones, masks)


def _size(pixels: tuple[int, ...] | None, where: str) -> tuple[int, int] | None:
    if pixels is None:
        return None
    if len(pixels) != 2 or min(pixels) < 1:
        raise UsageError(
            f"{where}: pixels is {list(pixels)}; give width and height, as [1280, 720]"
        )
    return pixels[0], pixels[1]


def _polygon(
    points: tuple[tuple[float, ...], ...], size: tuple[int, int] | None, where: str
) -> Polygon:
    """The points as shares of the picture."""
    if len(points) < LEAST_POINTS:
        raise UsageError(f"{where}: a polygon of {len(points)} points; give three or more")
    width, height = size or (1, 1)
    for point in points:
        if len(point) != 2:
            raise UsageError(f"{where}: a point is {list(point)}; give x and y, as [0.5, 0.25]")
        x, y = point
        if not (0 <= x <= width and 0 <= y <= height):
            unit = "pixels" if size else "shares of the picture (for pixels say pixels = [w, h])"
            raise UsageError(
                f"{where}: the point [{x:g}, {y:g}] is outside of the picture; x goes from 0 to"
                f" {width} and y to {height}, in {unit}"
            )
    polygon = np.array(points, np.float64) / (width, height)
    if _area(polygon) == 0:
        raise UsageError(f"{where}: its points enclose nothing; give them in order around it")
    return polygon


def _area(polygon: Polygon) -> float:
    """By the shoelace formula."""
    x, y = polygon.T
    return abs(float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))) / 2


def _inside(
    polygon: Polygon, x: NDArray[np.float64] | np.float64, y: NDArray[np.float64] | np.float64
) -> NDArray[np.bool_]:
    """Whether points lie inside: a ray to the right crosses an odd number of edges."""
    inside = np.zeros(np.broadcast(x, y).shape, np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if y0 != y1:
            crosses = (y0 <= y) != (y1 <= y)
            inside ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside
