# SPDX-License-Identifier: Apache-2.0
"""A scene whose story is known, as pictures or as a video file: a thing comes, waits and goes."""

import cv2
import numpy as np

from edgestream.sources.picture import Picture

RED, BLUE = (215, 45, 40), (30, 80, 220)
COMES_S, CROSSES_S, WAITS_S = 2.0, 2.0, 3.0
VISIT_S = COMES_S + 2 * CROSSES_S + WAITS_S + 1.5  # with a quiet end


def background(size, random):
    """A soft pattern in greys, float [height, width, 3]."""
    width, height = size
    soft = cv2.GaussianBlur(random.uniform(0, 1, (height, width, 1)), (0, 0), width / 16)
    soft = (soft - soft.mean()) / soft.std()
    return np.repeat(110 + 25 * soft[..., None], 3, axis=2)


def place(at_s):
    """Of the thing, across the picture from 0 to 1; outside before and after."""
    u = at_s - COMES_S
    on_the_way = min(max(u, 0) / CROSSES_S, 1) + min(max(u - CROSSES_S - WAITS_S, 0) / CROSSES_S, 1)
    return -0.15 + 0.65 * on_the_way


def scene(colour=RED, seconds=VISIT_S, fps=25.0, size=(320, 240), noise=3.0, seed=0):
    """Pictures with times; `colour` None: nothing happens."""
    random = np.random.default_rng(seed)
    behind = background(size, random)
    for turn in range(round(seconds * fps)):
        rgb = behind + random.normal(0, noise, behind.shape)
        if colour is not None:
            middle = int(place(turn / fps) * size[0]), size[1] // 2
            cv2.circle(rgb, middle, size[1] // 7, colour, -1)
        yield Picture(np.uint8(np.clip(rgb, 0, 255)), 1000 * turn / fps)


def write_scene(path, codec="MJPG", fps=25.0, size=(320, 240), **options):
    """The scene as a video file."""
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size)
    assert writer.isOpened()
    for picture in scene(fps=fps, size=size, **options):
        writer.write(cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2BGR))
    writer.release()
    return path
