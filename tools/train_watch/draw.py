# SPDX-License-Identifier: Apache-2.0
"""Draws a script as a camera would see it, on a background where it can be seen."""

from __future__ import annotations

import cv2
import numpy as np
from camera import Camera
from numpy.typing import NDArray
from photographs import photograph
from script import HEIGHT, WIDTH, Script, Thing
from textures import BACKGROUNDS, Image, Mask, mover

ROOM = 72  # pixels of background beyond each edge, for a camera that moves
PHOTOGRAPHS = 0.4  # share of the backgrounds
# A viewer can see no grey thing before a grey wall, nor a bare wall turn: such are drawn anew.
LEAST_CONTRAST, LEAST_TEXTURE = 0.14, 0.03
TRIES = 12

Look = tuple[Image, Mask]


class Stage:
    """What stands still in a scene, and what there is restless without being an event."""

    def __init__(self, script: Script, which: str, photographs: bool) -> None:
        self.random = script.random
        self.looks = [mover(t.radius_px, t.colour, which, self.random) for t in script.things]
        self.world = self._background(which, photographs)
        self.shadow = self.random.uniform(0, 0.5) if self.random.random() < 0.5 else 0.0
        self.hidden = _post(self.random)
        self.cover = _cover(self.random)
        self.sway_px = self.random.uniform(0.5, 2) if self.random.random() < 0.15 else 0.0
        self.sway_rate = self.random.uniform(0.5, 2.5)
        self.screen_change = 0.25 if self.random.random() < 0.1 else 0.0
        self.part = _part(self.random)
        self.glow = np.zeros(3, np.float32)

    def _background(self, which: str, photographs: bool) -> Image:
        families, room = BACKGROUNDS[which], (WIDTH + 2 * ROOM, HEIGHT + 2 * ROOM)
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

    def at(self, view: NDArray[np.float64], turn: int) -> Image:
        """[HEIGHT, WIDTH, 3] without visitors, light and cover."""
        scene = _looked_at(self.world, view)
        if self.sway_px:
            offset = self.sway_px * np.array([np.sin(self.sway_rate * turn), 0])
            scene[self.part] = _looked_at(self.world, view + offset)[self.part]
        if self.screen_change:
            if self.random.random() < self.screen_change:
                self.glow = np.float32(self.random.uniform(-0.2, 0.2, 3))
            scene[self.part] = np.clip(scene[self.part] + self.glow, 0, 1)
        return scene


def visibility(world: Image, looks: list[Look]) -> float:
    """At least 1 where the background has texture and each thing stands out nearly everywhere."""
    coarse = cv2.resize(world, (34, 30), interpolation=cv2.INTER_AREA)
    clear = [float(coarse.std((0, 1)).max()) / LEAST_TEXTURE]
    for rgb, mask in looks:
        colour = (rgb * mask[..., None]).sum((0, 1)) / mask.sum()
        apart = np.abs(coarse - colour).max(2)
        clear.append(float(np.percentile(apart, 10)) / LEAST_CONTRAST)
    return min(clear)


def draw(script: Script, which: str, photographs: bool = True) -> NDArray[np.uint8]:
    """Pictures [n, SEEN_HEIGHT, SEEN_WIDTH, 3]; `which` surfaces: "train" or "held-out"."""
    stage, camera = Stage(script, which, photographs), Camera(script.random)
    pictures = []
    for turn in range(script.n):
        shaken = script.view[turn] + script.random.normal(0, 1, 2) * camera.shake_px
        scene = stage.at(shaken, turn)
        for thing, look in zip(script.things, stage.looks, strict=True):
            _show(scene, thing, look, turn, stage)
        cover = script.cover[turn]
        scene = scene * script.light[turn] * (1 - cover) + stage.cover * cover
        pictures.append(camera.take(scene, turn))
    return np.stack(pictures)


def _looked_at(world: Image, view: NDArray[np.float64]) -> Image:
    offset = np.clip(view + ROOM, 0, 2 * ROOM)
    shift = np.float32([[1, 0, -offset[0]], [0, 1, -offset[1]]])
    return np.asarray(cv2.warpAffine(world, shift, (WIDTH, HEIGHT)), np.float32)


def _post(random: np.random.Generator) -> tuple[int, int]:
    """Columns of a post in the foreground; none in most scenes."""
    if random.random() > 0.15:
        return 0, 0
    left = int(random.integers(20, WIDTH - 30))
    return left, left + int(random.integers(3, 9))


def _cover(random: np.random.Generator) -> Image:
    """What a covered camera sees: the dark, or a hand or cloth that light falls on."""
    if random.random() < 0.7:
        return np.float32(random.uniform(0, 0.07) + random.uniform(0, 0.04, 3))
    slope = np.linspace(1, random.uniform(0.5, 1), WIDTH, dtype=np.float32)[None, :, None]
    return np.float32(random.uniform(0.08, 0.5, 3)) * np.repeat(slope, HEIGHT, 0)


def _part(random: np.random.Generator) -> tuple[slice, slice]:
    w, h = random.integers(12, 40), random.integers(12, 32)
    x, y = random.integers(0, WIDTH - w), random.integers(0, HEIGHT - h)
    return slice(y, y + h), slice(x, x + w)


def _show(scene: Image, thing: Thing, look: Look, turn: int, stage: Stage) -> None:
    """Pastes a visitor and its shadow, if it is there."""
    if np.isnan(thing.path[turn, 0]):
        return
    rgb, mask = look
    n = len(mask)
    left, top = (round(float(v) - n / 2) for v in thing.path[turn])
    if stage.shadow:
        part, cut, _ = _cut(scene, mask, left + n // 8, top + n // 8, stage.hidden)
        part *= 1 - stage.shadow * cut[..., None]
    part, cut, colours = _cut(scene, mask, left, top, stage.hidden, rgb)
    part += cut[..., None] * (colours - part)


def _cut(
    scene: Image, mask: Mask, left: int, top: int, hidden: tuple[int, int], rgb: Image | None = None
) -> tuple[Image, Mask, Image]:
    """The part of the scene under the mask, and what of mask and colours falls on it."""
    n = len(mask)
    x0, x1 = np.clip((left, left + n), 0, WIDTH)
    y0, y1 = np.clip((top, top + n), 0, HEIGHT)
    inner = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    cut = mask[inner].copy()
    columns = np.arange(x0, x1)
    cut[:, (columns >= hidden[0]) & (columns < hidden[1])] = 0
    return scene[y0:y1, x0:x1], cut, (mask[..., None] if rgb is None else rgb)[inner]
