# SPDX-License-Identifier: Apache-2.0
"""What the borders of the picture mean for a track: it goes out, or hangs in as an arm does."""

from __future__ import annotations

from edgestream.vision.labels import PERSON, SOMETHING
from edgestream.vision.perception.boxes import Box, touched
from edgestream.vision.perception.track import Track

HANGS_TO, ARM_HEIGHT, UPRIGHT = 0.8, 0.2, 1.8  # of the picture's height, and of the own width
AWAY = 0.1  # of the own height, from the upper border
OUT_SPEED = 0.1  # sizes a second


def note_border(track: Track, width: int, height: int) -> None:
    """Notes of a track that was just found in a picture of that size how it is at its borders."""
    box = track.sights[-1].box
    sides = touched(box, width, height)
    track.at_border = bool(sides)
    hangs = track.label in (PERSON, SOMETHING) and _hangs(box, sides, height)
    whole = box.top > AWAY * box.height  # it came in as a whole
    track.hung = hangs or (track.hung and not whole)
    velocity = track.velocity()
    ways = {"left": -velocity[0], "top": -velocity[1], "right": velocity[0], "bottom": velocity[1]}
    track.going_out = any(ways[side] > OUT_SPEED * box.size for side in sides)


def _hangs(box: Box, sides: list[str], height: int) -> bool:
    """Whether it reaches into the picture from above, as an arm does and nobody who stands."""
    at_top = "top" in sides and box.bottom < HANGS_TO * height
    return at_top and box.height > ARM_HEIGHT * height and box.height < UPRIGHT * box.width
