# SPDX-License-Identifier: Apache-2.0
"""What lies before the background: OpenCV's mixture of Gaussians, and the blobs of its mask.

The model is MOG2 (Zivkovic 2004). Two things are added. Places where something is followed are not
learned, so that whoever stays does not become background. And of what differs from the background
only what also changed lately counts, so that a thing that was taken away leaves no blob.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.system.opencv import cv2
from edgestream.vision.perception.boxes import Box

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
HISTORY = 300  # pictures, a minute of them at five a second
SQUARED_DISTANCE = 16.0  # of a pixel to the background, in its variances
LEAST_VARIANCE = 20.0  # of a pixel: what is not learned for long seems to have none
SHADOW = 127  # in OpenCV's mask
LEARNING = 1 / 60  # of the newest picture
FIRST_LEARNING = 0.3  # of the first ones
FIRST_PICTURES = 8
CHANGED_LEVELS = 14  # of a grey pixel from one picture to the next but one
CHANGED_FOR = 3  # pictures
EXPOSED_EVERY = 4  # pixels each way tell the exposure
LEAST_PX = 16  # of a side, that shows a shift
LEAST_SURE, LEAST_TREMBLE, MOST_TREMBLE = 0.2, 0.15, 4.0  # response, and pixels of a shift
MOST_LEFT, WORTH = 30.0, 0.8  # levels of a difference that count, and what a shift may leave
LEAST_LEVELS, FAR_LEVELS = 1.5, 80  # of mean difference; of what another exposure does not do
EXPLAINED, LEAST_PIXELS = 0.8, 50  # of the difference, that may be left; that tell it
GAP_PX = 5  # between parts of one blob
MIN_SHARE = 0.0012  # of the picture, that a blob covers


class Blob(NamedTuple):
    """Connected pixels that are not background: box in pixels of the picture; their share of it."""

    box: Box
    fill: float


def _line(now: Floats, then: Floats) -> tuple[float, float]:
    """Slope and offset from the levels now to those then, whatever a few pixels do."""
    kept = np.abs(now - then) < FAR_LEVELS
    slope, offset = 1.0, 0.0
    for _ in range(2):
        x, y = now[kept], then[kept]
        spread = float(x.var()) if len(x) > LEAST_PIXELS else 0.0
        if spread < 1.0:
            return 1.0, float(np.median(then - now))
        slope = float(np.clip(((x - x.mean()) * (y - y.mean())).mean() / spread, 0.5, 2.0))
        offset = float(y.mean() - slope * x.mean())
        rest = np.abs(slope * now + offset - then)
        kept = rest < 2.5 * np.median(rest) + 1
    return slope, offset


class Background:
    """Push pictures, get what is before the background."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The next picture is background."""
        self._model = cv2.createBackgroundSubtractorMOG2(HISTORY, SQUARED_DISTANCE, True)
        self._model.setVarMin(LEAST_VARIANCE)
        self._model.setVarInit(2 * LEAST_VARIANCE)
        self._n_pictures = 0
        self._window: NDArray[Any] | None = None
        self._grey: deque[NDArray[np.uint8]] = deque(maxlen=2)
        self._changed: deque[Mask] = deque(maxlen=CHANGED_FOR)
        self.mask: Mask = np.zeros((1, 1), bool)  # of the newest picture, in its own size
        self.share = 0.0  # of its pixels that are not background
        self.scale = 1.0

    def push(self, rgb: NDArray[np.uint8], scale: float, followed: Iterable[Box]) -> list[Blob]:
        """The blobs of uint8 [height, width, 3], where `followed` boxes are not learned.

        Boxes are of the picture that the detector looks at; this one is `scale` times as wide.
        """
        self.scale = scale
        small = cv2.GaussianBlur(rgb, (3, 3), 0)
        small = self._exposed(self._steadied(np.asarray(small, np.uint8)))
        changed = self._change(small)
        raw = self._model.apply(small, learningRate=0 if self._n_pictures else 1)
        self.mask = np.asarray(raw) > SHADOW
        self.share = float(self.mask.mean())
        self._learn(small, followed)
        self._n_pictures += 1
        if self._n_pictures <= 2:
            return []
        return self._blobs(self.mask & changed)

    def _steadied(self, small: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture where the background is: a camera on a pole trembles.

        The shift is found by phase correlation (Kuglin and Hines 1975), OpenCV's.
        """
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)
        known = self._model.getBackgroundImage() if self._n_pictures else None
        if known is None or known.shape != small.shape or min(grey.shape) < LEAST_PX:
            return small
        if self._window is None or self._window.shape != grey.shape:
            self._window = cv2.createHanningWindow(grey.shape[::-1], cv2.CV_32F)
        base = np.asarray(cv2.cvtColor(known, cv2.COLOR_RGB2GRAY), np.float32)
        (x, y), sure = cv2.phaseCorrelate(base, grey, self._window)
        if sure < LEAST_SURE or not LEAST_TREMBLE < np.hypot(x, y) < MOST_TREMBLE:
            return small
        matrix = np.array([[1, 0, x], [0, 1, y]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = small.shape[1::-1]
        moved = cv2.warpAffine(grey, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        left = np.minimum(np.abs(moved - base), MOST_LEFT).mean()
        if left > WORTH * np.minimum(np.abs(grey - base), MOST_LEFT).mean():
            return small  # it was something else that moved
        moved = cv2.warpAffine(small, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.uint8)

    def _exposed(self, small: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture with the exposure of the background: cameras change theirs all the time."""
        if not self._n_pictures:
            return small
        known = self._model.getBackgroundImage()
        if known.shape != small.shape:
            return small
        step = np.s_[::EXPOSED_EVERY, ::EXPOSED_EVERY]
        rows = ~self.mask[step] if self.mask.shape == small.shape[:2] else np.s_[:, :]
        then, now = known[step][rows].astype(np.float32), small[step][rows].astype(np.float32)
        if len(then) < LEAST_PIXELS or np.abs(then - now).mean() < LEAST_LEVELS:
            return small
        lines = [_line(now[:, c], then[:, c]) for c in range(3)]
        levels = np.arange(256, dtype=np.float32)[:, None]
        table = np.clip(levels * [a for a, _ in lines] + [b for _, b in lines], 0, 255)
        mended = np.asarray(cv2.LUT(small, np.asarray(table, np.uint8)[:, None]), np.uint8)
        away = np.median(np.abs(then - now))
        left = np.median(np.abs(then - mended[step][rows].astype(np.float32)))
        return mended if left < EXPLAINED * away else small

    def covered(self, box: Box) -> float:
        """The share of a box in the newest picture that is not background."""
        left, top, right, bottom = (round(at * self.scale) for at in box)
        part = self.mask[max(0, top) : max(bottom, top + 1), max(0, left) : max(right, left + 1)]
        return float(part.mean()) if part.size else 0.0

    def _change(self, small: NDArray[np.uint8]) -> Mask:
        """Where pixels changed within the last pictures, with some room around it."""
        grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
        now = np.zeros(grey.shape, bool)
        for before in self._grey:
            if before.shape == grey.shape:
                now |= cv2.absdiff(grey, before) > CHANGED_LEVELS
        self._grey.append(grey)
        self._changed.append(now)
        lately = np.logical_or.reduce([c for c in self._changed if c.shape == now.shape])
        kernel = np.ones((2 * GAP_PX + 1,) * 2, np.uint8)
        return np.asarray(cv2.dilate(lately.astype(np.uint8), kernel), bool)

    def _learn(self, small: NDArray[np.uint8], followed: Iterable[Box]) -> None:
        """The picture, as the background looks where something is followed."""
        boxes = list(followed)
        if boxes and self._n_pictures:
            known = self._model.getBackgroundImage()
            small = small.copy()
            for box in boxes:
                left, top, right, bottom = (max(0, round(at * self.scale)) for at in box)
                small[top:bottom, left:right] = known[top:bottom, left:right]
        first = self._n_pictures < FIRST_PICTURES
        self._model.apply(small, learningRate=FIRST_LEARNING if first else LEARNING)

    def _blobs(self, mask: Mask) -> list[Blob]:
        if mask.sum() < MIN_SHARE * mask.size:
            return []
        # One pixel is noise; parts of one thing lie close to each other.
        opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (GAP_PX, GAP_PX))
        closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel, iterations=2)
        n, labels, stats, _ = cv2.connectedComponentsWithStats(closed)
        found = []
        for i in range(1, n):
            left, top, width, height, _ = (float(v) for v in stats[i])
            at = np.s_[int(top) : int(top + height), int(left) : int(left + width)]
            fill = float((opened[at][labels[at] == i]).sum()) / mask.size
            if fill >= MIN_SHARE:
                box = Box(left, top, left + width, top + height)
                found.append(Blob(box.scaled(1 / self.scale, 1 / self.scale), fill))
        return sorted(found, key=lambda blob: -blob.fill)
