# SPDX-License-Identifier: Apache-2.0
"""Draws a script as a camera would see it, on a background where it can be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from camera import Camera
from numpy.typing import NDArray
from photographs import photograph
from script import HEIGHT, WIDTH, Script
from textures import BACKGROUNDS, Image, Mask, mover

ROOM = 72  # pixels of background beyond each edge, for a camera that moves
PHOTOGRAPHS = 0.4  # share of the backgrounds
# Nobody sees a grey thing before a grey wall, a bare wall turn, or the light go off in the dark.
LEAST_CONTRAST, LEAST_TEXTURE, LEAST_LIGHT = 0.14, 0.008, 0.2
TRIES = 12

Look = tuple[Image, Mask]


@dataclass(frozen=True)
class Frame:
    """How large a scene is drawn, in pixels."""

    width: int = WIDTH
    height: int = HEIGHT

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels for one of the script's, across and down."""
        return self.width / WIDTH, self.height / HEIGHT

    @property
    def size(self) -> float:
        """The same for things, which stay as wide as they are high."""
        x, y = self.scale
        return math.sqrt(x * y)

    def of(self, x: float, y: float) -> tuple[int, int]:
        """A point or size of the script."""
        return round(x * self.scale[0]), round(y * self.scale[1])


DRAWN = Frame()


class Stage:
    """What stands still in a scene, and what there is restless without being an event."""

    def __init__(self, script: Script, which: str, photographs: bool, frame: Frame = DRAWN) -> None:
        self.random, self.frame = script.random, frame
        self.looks = [
            mover(t.radius_px * frame.size, t.colour, which, self.random) for t in script.things
        ]
        self.world = self._background(which, photographs)
        self.shadow = self.random.uniform(0, 0.5) if self.random.random() < 0.5 else 0.0
        self.hidden = _post(self.random, frame)
        self.cover = _cover(self.random, frame)
        self.sway_px = self.random.uniform(0.5, 2) if self.random.random() < 0.15 else 0.0
        self.sway_rate = self.random.uniform(0.5, 2.5)
        self.screen_change = 0.25 if self.random.random() < 0.1 else 0.0
        self.part = _part(self.random, frame)
        self.glow = np.zeros(3, np.float32)

    def _background(self, which: str, photographs: bool) -> Image:
        families, room = BACKGROUNDS[which], self.frame.of(WIDTH + 2 * ROOM, HEIGHT + 2 * ROOM)
        worlds = []
        for _ in range(TRIES):
            if photographs and self.random.random() < PHOTOGRAPHS:
                world = photograph(room, which, self.random)
            else:
                world = families[self.random.integers(len(families))](room, self.random)
            worlds.append(np.clip(world, 0, 1))
            if (seen := visibility(worlds[-1], self.looks)) >= 1:
                return worlds[-1]
            worlds[-1] = (seen, worlds[-1])
        return max(worlds, key=lambda w: w[0])[1]

    def at(self, view: NDArray[np.float64], turn: float) -> Image:
        """RGB without visitors, light and cover."""
        scene = self._looked_at(view)
        if self.sway_px:
            offset = self.sway_px * np.array([np.sin(self.sway_rate * turn), 0])
            scene[self.part] = self._looked_at(view + offset)[self.part]
        if self.screen_change:
            if self.random.random() < self.screen_change:
                self.glow = np.float32(self.random.uniform(-0.2, 0.2, 3))
            scene[self.part] = np.clip(scene[self.part] + self.glow, 0, 1)
        return scene

    def _looked_at(self, view: NDArray[np.float64]) -> Image:
        x, y = np.clip(view + ROOM, 0, 2 * ROOM) * self.frame.scale
        shift = np.float32([[1, 0, -x], [0, 1, -y]])
        size = self.frame.width, self.frame.height
        return np.asarray(cv2.warpAffine(self.world, shift, size), np.float32)

    def show(self, scene: Image, at: NDArray[np.float32], look: Look) -> None:
        """Pastes a visitor and its shadow, its middle at a point of the script."""
        rgb, mask = look
        n = len(mask)
        left, top = (p - n // 2 for p in self.frame.of(*at))
        if self.shadow:
            part, cut, _ = _cut(scene, mask, left + n // 8, top + n // 8, self.hidden)
            part *= 1 - self.shadow * cut[..., None]
        part, cut, colours = _cut(scene, mask, left, top, self.hidden, rgb)
        part += cut[..., None] * (colours - part)


def visibility(world: Image, looks: list[Look]) -> float:
    """At least 1 where the background has light, texture, and each thing stands out from it."""
    coarse = cv2.resize(world, (34, 30), interpolation=cv2.INTER_AREA)
    turned = min(np.abs(np.diff(coarse, axis=axis)).mean() for axis in (0, 1))
    clear = [float(turned) / LEAST_TEXTURE, float(coarse.mean()) / LEAST_LIGHT]
    for rgb, mask in looks:
        colour = (rgb * mask[..., None]).sum((0, 1)) / mask.sum()
        apart = np.abs(coarse - colour).max(2)
        clear.append(float(np.percentile(apart, 10)) / LEAST_CONTRAST)
    return min(clear)


def draw(script: Script, which: str, photographs: bool = True) -> NDArray[np.uint8]:
    """Pictures [n, SEEN_HEIGHT, SEEN_WIDTH, 3]; `which` surfaces: "train" or "held-out"."""
    stage, camera = Stage(script, which, photographs), Camera(script.random)
    return np.stack([picture(script, stage, camera, turn) for turn in range(script.n)])


def picture(script: Script, stage: Stage, camera: Camera, turn: float) -> NDArray[np.uint8]:
    """What the camera sees at a turn, or between two."""
    now, next_ = int(turn), min(int(turn) + 1, script.n - 1)
    part = turn - now
    view = (1 - part) * script.view[now] + part * script.view[next_]
    scene = stage.at(view + script.random.normal(0, 1, 2) * camera.shake_px, turn)
    for thing, look in zip(script.things, stage.looks, strict=True):
        at = (1 - part) * thing.path[now] + part * thing.path[next_] if part else thing.path[now]
        if not np.isnan(at).any():
            stage.show(scene, at, look)
    cover = script.cover[now]
    return camera.take(scene * script.light[now] * (1 - cover) + stage.cover * cover, turn)


def _post(random: np.random.Generator, frame: Frame) -> tuple[int, int]:
    """Columns of a post in the foreground; none in most scenes."""
    if random.random() > 0.15:
        return 0, 0
    left = int(random.integers(20, WIDTH - 30))
    right = left + int(random.integers(3, 9))
    return frame.of(left, 0)[0], frame.of(right, 0)[0]


def _cover(random: np.random.Generator, frame: Frame) -> Image:
    """What a covered camera sees: the dark, or a hand or cloth that light falls on."""
    if random.random() < 0.7:
        return np.float32(random.uniform(0, 0.03) + random.uniform(0, 0.02, 3))
    slope = np.linspace(1, random.uniform(0.5, 1), frame.width, dtype=np.float32)[None, :, None]
    return np.float32(random.uniform(0.08, 0.5, 3)) * np.repeat(slope, frame.height, 0)


def _part(random: np.random.Generator, frame: Frame) -> tuple[slice, slice]:
    w, h = random.integers(12, 40), random.integers(12, 32)
    x, y = random.integers(0, WIDTH - w), random.integers(0, HEIGHT - h)
    (left, top), (right, bottom) = frame.of(x, y), frame.of(x + w, y + h)
    return slice(top, bottom), slice(left, right)


def _cut(
    scene: Image, mask: Mask, left: int, top: int, hidden: tuple[int, int], rgb: Image | None = None
) -> tuple[Image, Mask, Image]:
    """The part of the scene under the mask, and what of mask and colours falls on it."""
    n = len(mask)
    high, wide = scene.shape[:2]
    x0, x1 = np.clip((left, left + n), 0, wide)
    y0, y1 = np.clip((top, top + n), 0, high)
    inner = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    cut = mask[inner].copy()
    columns = np.arange(x0, x1)
    cut[:, (columns >= hidden[0]) & (columns < hidden[1])] = 0
    return scene[y0:y1, x0:x1], cut, (mask[..., None] if rgb is None else rgb)[inner]
