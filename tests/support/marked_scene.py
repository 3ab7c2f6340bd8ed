# SPDX-License-Identifier: Apache-2.0
"""A red square that comes, stops and goes, on ground whose colour tells the place; and a detector
that finds what is red. So a part of a picture tells where it was cut out."""

import numpy as np

from edgestream.sources.picture import Picture
from edgestream.vision.labels import VEHICLE
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.detector import Detection

WIDTH, HEIGHT, SIDE = 320, 240, 48
RED = (230, 20, 20)
STEP_MS = 200.0


def ground():
    """Grey enough, and each place another colour: green and blue count columns and rows in 2s."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([np.full_like(x, 90), 60 + x // 2, 60 + y // 2], -1).astype(np.uint8)


def corner(part):
    """Left and top, to 2 pixels, of a part whose upper left shows the ground."""
    return 2 * (int(part[0, 0, 1]) - 60), 2 * (int(part[0, 0, 2]) - 60)


def lefts(n_still=10):
    """Where its left side is in each picture: comes from the left, stands, goes to the right."""
    coming, going = list(range(-SIDE, 120, 14)), list(range(120, WIDTH + SIDE, 14))
    return [None] * 8 + coming + [coming[-1]] * n_still + going + [None] * 12


def scene(n_still=10, top=100):
    """The whole story as Pictures, five a second."""
    pictures = []
    for i, left in enumerate(lefts(n_still)):
        rgb = ground()
        if left is not None:
            rgb[top : top + SIDE, max(0, left) : max(0, left + SIDE)] = RED
        pictures.append(Picture(rgb, STEP_MS * i))
    return pictures


def red(rgb):
    """Bool [height, width]: what is the square."""
    return (rgb[..., 0] > 180) & (rgb[..., 1] < 80) & (rgb[..., 2] < 80)


class RedDetector:
    """As a Detector: a vehicle wherever something is red."""

    side_px = 416

    def push(self, rgb):
        y, x = np.nonzero(red(rgb))
        if not len(y):
            return []
        box = Box(float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1))
        return [Detection(box, VEHICLE, 0.9)] if box.width > 6 else []
