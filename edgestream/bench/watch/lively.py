# SPDX-License-Identifier: Apache-2.0
"""What a camera does to a picture when nothing happens: a photograph, made to live by program."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from edgestream.sources.picture import Picture
from edgestream.system.opencv import cv2

Rgb = NDArray[np.uint8]  # [height, width, 3]
Floats = NDArray[np.float32]
Random = np.random.Generator

MOST_WIDE_PX = 640
NOISE = 3.0  # of 255, standard deviation, of a sensor in daylight
FLICKER, FLICKER_HZ, BAND_ROWS = 0.02, 3.1, 40.0  # of the light; its beat with the shutter; a band
EXPOSURE_STEP, EXPOSURE = 0.01, (0.85, 1.2)  # from picture to picture, and its bounds
BALANCE_STEP, BALANCE = 0.003, (0.95, 1.05)  # of a colour
TREMBLE_PX = 0.5  # standard deviation
JPEG_QUALITY = 60
SWAY_RADIUS, SWAY = 0.25, 0.01  # of the height; of the width
SWAY_S = (2.3, 0.9)  # periods of the wind
DARK, DARK_NOISE = 0.1, 2.0  # of the light that is left; of 255, standard deviation


def lively(photograph: Rgb, fps: float, seconds: float, seed: int) -> Iterator[Picture]:
    """Pictures of a place where nothing happens: only noise, light, tremble, and wind in a part.

    The photograph is made smaller where it is wider than 640 pixels. One seed gives one film.
    """
    still = _at_most_wide(photograph)
    random = np.random.default_rng([seed, 1])
    sway, light = _sway(still, random), _walking_light(random)
    for turn in range(int(seconds * fps)):
        time_s = turn / fps
        picture = _tremble(sway(still, time_s), random).astype(np.float32)
        picture = picture * light() * _flicker(len(still), time_s)
        yield Picture(_jpeg(_noisy(picture, NOISE, random)), 1000 * time_s)


def noisy_still(photograph: Rgb, fps: float, seconds: float, seed: int) -> Iterator[Picture]:
    """The photograph again and again, with a sensor's noise and nothing else."""
    still, random = _at_most_wide(photograph).astype(np.float32), np.random.default_rng([seed, 2])
    for turn in range(int(seconds * fps)):
        yield Picture(_noisy(still, NOISE, random), 1000 * turn / fps)


def darkened(pictures: Iterator[Picture], seed: int) -> Iterator[Picture]:
    """The pictures as a sensor gives them in a tenth of the light."""
    random = np.random.default_rng([seed, 3])
    for picture in pictures:
        dark = picture.rgb * np.float32(DARK)
        yield Picture(_noisy(dark, DARK_NOISE, random), picture.time_ms)


def _at_most_wide(rgb: Rgb) -> Rgb:
    height, width = rgb.shape[:2]
    if width <= MOST_WIDE_PX:
        return rgb
    size = (MOST_WIDE_PX, max(1, round(height * MOST_WIDE_PX / width)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _noisy(picture: Floats, deviation: float, random: Random) -> Rgb:
    noise = random.standard_normal(picture.shape, np.float32) * np.float32(deviation)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _sway(still: Rgb, random: Random) -> Callable[[Rgb, float], Rgb]:
    """Leaves in a round part of the picture: it moves to and fro, less towards its rim."""
    height, width = still.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle = random.uniform(0.25, 0.75, 2) * (width, height)
    away = ((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (SWAY_RADIUS * height) ** 2
    weight = np.clip(1 - away, 0, 1).astype(np.float32)

    def swayed(rgb: Rgb, time_s: float) -> Rgb:
        slow, fast = (np.sin(2 * np.pi * time_s / period_s) for period_s in SWAY_S)
        across = np.float32(SWAY * width * (0.6 * slow + 0.4 * fast))
        down = np.float32(0.5 * SWAY * width * slow)
        return np.asarray(
            cv2.remap(rgb, x + weight * across, y + weight * down, cv2.INTER_LINEAR), np.uint8
        )

    return swayed


def _tremble(rgb: Rgb, random: Random) -> Rgb:
    right, down = random.normal(0, TREMBLE_PX, 2)
    way = np.array([[1, 0, right], [0, 1, down]], np.float32)
    size = (rgb.shape[1], rgb.shape[0])
    return np.asarray(cv2.warpAffine(rgb, way, size, borderMode=cv2.BORDER_REFLECT), np.uint8)


def _walking_light(random: Random) -> Callable[[], Floats]:
    """Exposure times white balance [3], a step further with each call."""
    state = np.ones(4)

    def light() -> Floats:
        state[0] = np.clip(state[0] + random.normal(0, EXPOSURE_STEP), *EXPOSURE)
        state[1:] = np.clip(state[1:] + random.normal(0, BALANCE_STEP, 3), *BALANCE)
        return np.asarray(state[0] * state[1:], np.float32)

    return light


def _flicker(rows: int, time_s: float) -> Floats:
    """Light of lamps on the mains, which a rolling shutter sees as bands of rows, [rows, 1, 1]."""
    phase = 2 * np.pi * FLICKER_HZ * time_s + np.arange(rows) / BAND_ROWS
    return np.asarray(1 + FLICKER * np.sin(phase), np.float32)[:, None, None]


def _jpeg(rgb: Rgb) -> Rgb:
    """As a camera sends it as Motion JPEG."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    decoded = np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])
