# SPDX-License-Identifier: Apache-2.0
"""Scenes with known events, drawn by program for any moment: what the watching is measured on.

Written apart from the scenes that tiny-watch was trained on, where backgrounds of
cells and things that are stars or regular polygons do not occur.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream.bench.watch.event_score import Happened
from edgestream.sources.picture import Picture
from edgestream.system.opencv import cv2

WIDTH, HEIGHT = 160, 120
ROOM = 80  # pixels of background beyond each edge, for a camera that is turned
SCENE_MS = 24_000.0
QUIET_MS = (1_000.0, 4_000.0)  # between what happens
RADII_PX = {"small": (7.5, 11.0), "middling": (15.0, 21.0), "large": (30.0, 41.0)}
COLOURS = {
    "red": (205, 30, 35), "orange": (235, 130, 25), "yellow": (235, 215, 40),
    "green": (40, 165, 60), "blue": (35, 80, 215), "purple": (140, 50, 170),
    "white": (240, 240, 240), "grey": (128, 128, 128), "black": (18, 18, 18),
}  # fmt: skip
SIDES = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
N_CELLS, N_SHADES = 90, 5  # of a background
SHADES = ((35, 100), (90, 165), (150, 225))  # it is dark, middling or bright
LEAST_CONTRAST = 50  # of 255 in the clearest channel, of a thing with every shade behind it
NOISE = 3.0  # of 255, standard deviation of every pixel
SEED = 7

Rgb = NDArray[np.uint8]  # [HEIGHT, WIDTH, 3]
Floats = NDArray[np.float32]
Point = NDArray[np.float64]  # x, y in pixels


@dataclass(frozen=True, slots=True)
class Visit:
    """A thing comes to a place, may stay there, and leaves."""

    start_ms: float
    outline: NDArray[np.float64]  # [n, 2] around its middle
    colour: tuple[int, int, int]
    way: tuple[Point, Point, Point]  # from outside, by its place, to outside
    times_ms: tuple[float, float, float]  # coming, staying, leaving
    sides: tuple[str, str]

    @property
    def end_ms(self) -> float:
        return self.start_ms + sum(self.times_ms)

    def at(self, time_ms: float) -> Point | None:
        """Its middle; None while it is away."""
        after_ms = time_ms - self.start_ms
        come, stay, leave = self.times_ms
        if not 0 <= after_ms < come + stay + leave:
            return None
        outside, place, beyond = self.way
        if after_ms < come:
            return np.asarray(outside + (place - outside) * (after_ms / come))
        return np.asarray(place + (beyond - place) * max(0.0, (after_ms - come - stay) / leave))

    def happenings(self) -> list[Happened]:
        """It enters and leaves with its middle."""
        come, stay, leave = self.times_ms
        outside, place, beyond = self.way
        entered = self.start_ms + come * _crossing(outside, place)
        moved = self.start_ms + come + stay
        left = moved + leave * (1 - _crossing(beyond, place))
        said = [Happened(entered, "enters", self.sides[0])]
        if stay:
            said.append(Happened(self.start_ms + come, "stops"))
            said.append(Happened(moved, "moves", self.sides[1]))
        return [*said, Happened(left, "leaves", self.sides[1])]


@dataclass(frozen=True, slots=True)
class Span:
    """Light that is off, a lens that is covered, or a camera that is turned by `way` pixels."""

    start_ms: float
    end_ms: float
    kind: str  # dark, covered, turned
    way: tuple[float, float] = (0.0, 0.0)

    def happenings(self) -> list[Happened]:
        """Two of dark and covered, one of turned."""
        kinds = {
            "dark": ("light-off", "light-on"),
            "covered": ("covered", "clear"),
            "turned": ("camera-moves",),
        }
        return [
            Happened(at_ms, kind)
            for at_ms, kind in zip((self.start_ms, self.end_ms), kinds[self.kind], strict=False)
        ]


@dataclass(slots=True)
class Scene:
    """A background and what happens before it."""

    world: Floats  # [HEIGHT + 2 ROOM, WIDTH + 2 ROOM, 3] of 0 to 255
    acts: list[Visit | Span] = field(default_factory=list)
    length_ms: float = SCENE_MS

    @property
    def happenings(self) -> list[Happened]:
        """In order."""
        said = [happening for act in self.acts for happening in act.happenings()]
        return sorted(said, key=lambda h: h.visible_ms)

    def draw(self, time_ms: float, random: np.random.Generator) -> Rgb:
        """The picture that a camera takes at `time_ms`, noise drawn from `random`."""
        picture = self._background(time_ms)
        light = 1 + random.normal(0, 0.004)
        for act in self.acts:
            if isinstance(act, Visit):
                if (middle := act.at(time_ms)) is not None:
                    corners = np.round(16 * (act.outline + middle)).astype(np.int32)
                    cv2.fillPoly(picture, [corners], act.colour, cv2.LINE_AA, 4)
            elif act.start_ms <= time_ms < act.end_ms and act.kind != "turned":
                light *= 0.35 if act.kind == "dark" else 0.03
        noise = random.standard_normal(picture.shape, np.float32) * np.float32(NOISE)
        return np.clip(picture * np.float32(light) + noise, 0, 255).astype(np.uint8)

    def _background(self, time_ms: float) -> Floats:
        x = y = float(ROOM)
        for act in self.acts:
            if isinstance(act, Span) and act.kind == "turned" and time_ms >= act.start_ms:
                done = min(1.0, (time_ms - act.start_ms) / (act.end_ms - act.start_ms))
                x, y = x + done * act.way[0], y + done * act.way[1]
        left, top = int(np.clip(x, 0, 2 * ROOM)), int(np.clip(y, 0, 2 * ROOM))
        return self.world[top : top + HEIGHT, left : left + WIDTH].copy()

    def pictures(self, fps: float, start_ms: float = 0.0, seed: int = 0) -> Iterator[Picture]:
        """All of it at `fps`; times from `start_ms` on."""
        random = np.random.default_rng([SEED, seed])
        for turn in range(int(self.length_ms * fps / 1000)):
            time_ms = 1000 * turn / fps
            yield Picture(self.draw(time_ms, random), start_ms + time_ms)


def scene(
    number: int,
    *,
    still: bool = False,
    length_ms: float = SCENE_MS,
    quiet_ms: tuple[float, float] = QUIET_MS,
) -> Scene:
    """The scene of that number; in a still one nothing happens."""
    random = np.random.default_rng([SEED, number])
    shades = _shades(random)
    made = Scene(_cells(random, shades), length_ms=length_ms)
    at_ms = random.uniform(*quiet_ms)
    while not still:
        act = _act(random, shades, at_ms)
        if act.end_ms > length_ms - 2_000:
            break
        made.acts.append(act)
        at_ms = act.end_ms + random.uniform(*quiet_ms)
    return made


def _shades(random: np.random.Generator) -> Floats:
    """Muted colours [N_SHADES, 3] of 0 to 255."""
    low, high = SHADES[random.integers(len(SHADES))]
    levels = np.linspace(low, high, N_SHADES)[:, None]
    return (levels + random.uniform(-12, 12, (N_SHADES, 3))).astype(np.float32)


def _cells(random: np.random.Generator, shades: Floats) -> Floats:
    """Every pixel has the shade of the nearest of some points, as stones in a wall."""
    width, height = WIDTH // 2 + ROOM, HEIGHT // 2 + ROOM  # at half the size
    points = random.uniform(0, (width, height), (N_CELLS, 2)).astype(np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    away = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    cells: Floats = shades[random.integers(0, N_SHADES, N_CELLS)[away.argmin(2)]]
    return cells.repeat(2, 0).repeat(2, 1)


def _act(random: np.random.Generator, shades: Floats, start_ms: float) -> Visit | Span:
    kind = random.choice(["visit", "dark", "covered", "turned"], p=[0.7, 0.1, 0.1, 0.1])
    if kind == "visit":
        return _visit(random, shades, start_ms)
    if kind == "turned":
        angle, far = random.uniform(0, 2 * np.pi), random.uniform(22, 36)
        way = (far * np.cos(angle), far * np.sin(angle))
        return Span(start_ms, start_ms + random.uniform(500, 1200), kind, way)
    return Span(start_ms, start_ms + random.uniform(2_000, 4_500), kind)


def _visit(random: np.random.Generator, shades: Floats, start_ms: float) -> Visit:
    low, high = list(RADII_PX.values())[random.integers(len(RADII_PX))]
    radius = random.uniform(low, high)
    apart = {name: np.abs(shades - rgb).max(1).min() for name, rgb in COLOURS.items()}
    names = [name for name, least in apart.items() if least >= LEAST_CONTRAST]
    colour = names[random.integers(len(names))]
    coming, leaving = (str(side) for side in random.choice(list(SIDES), 2))
    place = random.uniform((0.3 * WIDTH, 0.3 * HEIGHT), (0.7 * WIDTH, 0.7 * HEIGHT))
    way = (_outside(place, coming, radius), place, _outside(place, leaving, radius))
    stay = random.uniform(1_800, 4_500) if random.random() < 0.6 else 0.0
    times = (random.uniform(1_000, 4_000), stay, random.uniform(1_000, 4_000))
    outline = radius * _outline(random)
    return Visit(start_ms, outline, COLOURS[colour], way, times, (coming, leaving))


def _outside(place: Point, side: str, radius: float) -> Point:
    """Straight out of the picture from a place."""
    x, y = SIDES[side]
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    edge = middle + np.array([x, y]) * (middle + radius + 1)
    return np.where([x != 0, y != 0], edge, place)


def _crossing(outside: Point, inside: Point) -> float:
    """The part of the way from outside to inside at which the picture's edge is crossed."""
    parts = np.linspace(0, 1, 2001)[:, None]
    x, y = (outside + (inside - outside) * parts).T
    return float(np.argmax((x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)) / 2000)


def _outline(random: np.random.Generator) -> NDArray[np.float64]:
    """A star, or a polygon of five to eight corners; radius 1."""
    n = int(random.integers(5, 9))
    radii = np.ones(n) if random.random() < 0.5 else np.tile([1.0, 0.62], n)
    angles = random.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)
