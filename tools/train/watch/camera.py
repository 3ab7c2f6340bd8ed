# SPDX-License-Identifier: Apache-2.0
"""One camera with its faults: noise, exposure, white balance, shake, blur, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from textures import Image

SEEN_WIDTH, SEEN_HEIGHT = 64, 48  # what the network gets
MIDDLE_GREY = 0.45  # what an automatic exposure aims at


class Camera:
    """The faults of one camera, drawn once a scene.

    `seen` is the (width, height) of its pictures; `scale` how much larger than usual scenes are.
    """

    def __init__(
        self,
        random: np.random.Generator,
        seen: tuple[int, int] = (SEEN_WIDTH, SEEN_HEIGHT),
        scale: float = 1.0,
    ) -> None:
        self.random, self.seen, self.scale = random, seen, scale
        self.noise = random.uniform(0, 0.02)  # of the small picture
        self.flicker = random.uniform(0, 0.012)
        self.drift = random.uniform(0, 0.06)
        self.drift_rate = random.uniform(0.01, 0.1)
        self.shake_px = random.uniform(0, 0.6) if random.random() < 0.3 else 0.0
        self.blur = random.uniform(0.3, 1.4) if random.random() < 0.5 else 0.0
        self.quality = int(random.integers(25, 90)) if random.random() < 0.4 else 0
        self.tint = random.uniform(0.93, 1.07, 3).astype(np.float32)
        self.saturation = np.float32(random.uniform(0.75, 1.1))
        self.adapts = random.uniform(0, 0.4) if random.random() < 0.4 else 0.0
        self.adapting_rate = random.uniform(0.15, 0.6)
        self.log_gain = 0.0

    def take(self, scene: Image, turn: float) -> NDArray[np.uint8]:
        """A scene [h, w, 3] in [0, 1] as uint8 RGB, `seen` large."""
        seen = scene * (self.tint * np.float32(self._exposure(scene, turn)))
        grey = seen.mean(2, keepdims=True)
        seen = grey + self.saturation * (seen - grey)
        if self.blur:
            seen = cv2.GaussianBlur(seen, (0, 0), self.blur * self.scale)
        if self.quality:
            seen = self._compressed(seen)
        seen = cv2.resize(seen, self.seen, interpolation=cv2.INTER_AREA)
        seen += self.random.standard_normal(seen.shape, np.float32) * np.float32(self.noise)
        return np.uint8(np.clip(seen, 0, 1) * 255 + 0.5)

    def _exposure(self, scene: Image, turn: float) -> float:
        """Automatic, with a delay, and on it slow drift and the flicker of lamps."""
        wanted = self.adapts * np.log(MIDDLE_GREY / max(0.1, float(scene.mean())))
        rate = self.adapting_rate if turn else 1.0
        self.log_gain += rate * (wanted - self.log_gain)
        slow = self.drift * np.sin(turn * self.drift_rate)
        return float(np.exp(self.log_gain)) * (1 + slow + self.random.normal(0, self.flicker))

    def _compressed(self, seen: Image) -> Image:
        bytes_ = np.uint8(np.clip(seen, 0, 1) * 255)
        _, jpeg = cv2.imencode(".jpg", bytes_, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        return np.float32(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) / 255
