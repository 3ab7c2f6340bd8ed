# SPDX-License-Identifier: Apache-2.0
"""Draws a script as a camera would see it: noise, exposure, shake, blur, shadows, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from script import HEIGHT, WIDTH, Script
from textures import BACKGROUNDS, Image, Mask, mover

SEEN_WIDTH, SEEN_HEIGHT = 64, 48  # what the network gets
ROOM = 72  # pixels of background beyond each edge, for a camera that moves


class Camera:
    """The faults of one camera, drawn once a scene."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.noise = random.uniform(0, 0.018)  # of the small picture
        self.flicker = random.uniform(0, 0.012)
        self.drift = random.uniform(0, 0.06)
        self.drift_rate = random.uniform(0.01, 0.1)
        self.shake_px = random.uniform(0, 0.6) if random.random() < 0.3 else 0.0
        self.blur = random.uniform(0.3, 1.4) if random.random() < 0.5 else 0.0
        self.quality = int(random.integers(25, 90)) if random.random() < 0.4 else 0
        self.tint = random.uniform(0.93, 1.07, 3).astype(np.float32)

    def expose(self, turn: int) -> float:
        slow = self.drift * np.sin(turn * self.drift_rate)
        return 1 + slow + self.random.normal(0, self.flicker)

    def take(self, scene: Image, turn: int) -> NDArray[np.uint8]:
        """A scene [HEIGHT, WIDTH, 3] in [0, 1] as uint8 RGB [SEEN_HEIGHT, SEEN_WIDTH, 3]."""
        seen = scene * (self.tint * np.float32(self.expose(turn)))
        if self.blur:
            seen = cv2.GaussianBlur(seen, (0, 0), self.blur)
        if self.quality:
            seen = self._compressed(seen)
        seen = cv2.resize(seen, (SEEN_WIDTH, SEEN_HEIGHT), interpolation=cv2.INTER_AREA)
        seen += self.random.standard_normal(seen.shape, np.float32) * np.float32(self.noise)
        return np.uint8(np.clip(seen, 0, 1) * 255 + 0.5)

    def _compressed(self, seen: Image) -> Image:
        bytes_ = np.uint8(np.clip(seen, 0, 1) * 255)
        _, jpeg = cv2.imencode(".jpg", bytes_, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.float32(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) / 255


def draw(script: Script, which: str) -> NDArray[np.uint8]:
    """Pictures [n, SEEN_HEIGHT, SEEN_WIDTH, 3]; `which` surfaces: "train" or "held-out"."""
    random = script.random
    families = BACKGROUNDS[which]
    room = (WIDTH + 2 * ROOM, HEIGHT + 2 * ROOM)
    world = np.clip(families[random.integers(len(families))](room, random), 0, 1)
    looks = [mover(t.radius_px, t.colour, which, random) for t in script.things]
    camera = Camera(random)
    shadow = random.uniform(0, 0.5) if random.random() < 0.5 else 0.0
    hidden = _occluder(random)
    dark = random.uniform(0, 0.12) + random.uniform(0, 0.05, 3)
    pictures = []
    for turn in range(script.n):
        scene = _looked_at(world, script.view[turn] + random.normal(0, 1, 2) * camera.shake_px)
        if script.thing[turn] >= 0:
            rgb, mask = looks[script.thing[turn]]
            _paste(scene, rgb, mask, script.position[turn], shadow, hidden)
        scene = scene * script.light[turn]
        cover = script.cover[turn]
        scene = scene * (1 - cover) + np.float32(dark) * cover
        pictures.append(camera.take(scene, turn))
    return np.stack(pictures)


def _looked_at(world: Image, view: NDArray[np.float32]) -> Image:
    offset = np.clip(view + ROOM, 0, 2 * ROOM)
    shift = np.float32([[1, 0, -offset[0]], [0, 1, -offset[1]]])
    return np.asarray(cv2.warpAffine(world, shift, (WIDTH, HEIGHT)), np.float32)


def _occluder(random: np.random.Generator) -> tuple[int, int]:
    """Columns of a post in the foreground; none in most scenes."""
    if random.random() > 0.15:
        return 0, 0
    left = int(random.integers(20, WIDTH - 30))
    return left, left + int(random.integers(3, 9))


def _paste(
    scene: Image, rgb: Image, mask: Mask, at: NDArray[np.float32], shadow: float,
    hidden: tuple[int, int],
) -> None:  # fmt: skip
    n = len(mask)
    left, top = (round(float(v) - n / 2) for v in at)
    if shadow:
        part, cut, _ = _cut(scene, mask, left + n // 8, top + n // 8, hidden)
        part *= 1 - shadow * cut[..., None]
    part, cut, colours = _cut(scene, mask, left, top, hidden, rgb)
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
