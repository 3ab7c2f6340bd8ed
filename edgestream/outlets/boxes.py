# SPDX-License-Identifier: Apache-2.0
"""How things that are followed are shown in a picture: a name and a colour for each."""

from __future__ import annotations

import colorsys

from edgestream.captions.shown_text import printable
from edgestream.vision.labels import PERSON

GOLDEN = 0.618034  # of the circle of hues: neighbours in number are far apart in colour
FIRST_HUE = 0.33
SATURATION, VALUE = 0.6, 1.0  # bright: black text can be read on it
OUTLINE = (0, 0, 0)  # on both sides of a line, so that it is seen on bright pictures too
BOX_SHARE = 1 / 200  # a line's width in the picture's shorter side
TEXT_SHARE = 1 / 24  # a name's height
Colour = tuple[int, int, int]  # red, green, blue, of 255


def colour_of(track: int | None) -> Colour:
    """Of a thing by its number, the same each time; of one without a number that of number 0."""
    hue = (FIRST_HUE + GOLDEN * (track or 0)) % 1.0
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, SATURATION, VALUE))
    return red, green, blue


def name_of(label: str | None, colour: str | None) -> str:
    """What stands at a box: `red vehicle`; of people it is their clothes that have a colour."""
    if label == PERSON and colour:
        return printable(f"{label} in {colour}")
    return printable(" ".join(word for word in (colour, label) if word))


def line_px(width: int, height: int) -> int:
    """How wide the lines of boxes are in a picture of this size."""
    return max(1, round(BOX_SHARE * min(width, height)))


def text_px(width: int, height: int) -> int:
    """How high names are in a picture of this size."""
    return max(10, round(TEXT_SHARE * min(width, height)))
