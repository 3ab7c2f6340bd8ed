# SPDX-License-Identifier: Apache-2.0
"""Where a simulated camera looks from, and how large things are in its picture.

A street camera sees people grow as they come near; one that looks straight down does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgestream.vision.perception.boxes import Box

PICTURE_MS = 200.0
SIZES_PX = ((416, 312), (416, 234), (320, 180), (320, 240))
STREET, FLOOR, ABOVE, DESK = "street", "floor", "above", "desk"
FAR = 0.05  # of the picture's height: nobody is smaller
LARGEST = 1.7  # of the size at the lower border, for who is nearer than it

CUT = 0.3  # of the cameras see the nearest people without their feet

# Width and height in heights of a person; from above in the same unit.
SHAPES = {
    "person": (0.38, 1.0), "bicycle": (0.75, 0.7), "vehicle": (2.3, 0.95),
    "animal": (0.65, 0.42), "something": (0.45, 0.4),
}  # fmt: skip
SHAPES_ABOVE = {
    "person": (0.85, 0.85), "bicycle": (1.3, 0.7), "vehicle": (2.8, 1.4),
    "animal": (0.7, 0.4), "something": (0.6, 0.5),
}  # fmt: skip
# Heights of a person a second: slow and quick.
SPEEDS = {
    "person": (0.4, 1.0), "bicycle": (1.2, 2.4), "vehicle": (1.0, 4.0), "animal": (0.5, 1.6),
    "something": (0.6, 1.6),
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """One camera; all sizes in pixels of its picture."""

    kind: str  # STREET, FLOOR, ABOVE or DESK
    width: int
    height: int
    horizon: float
    near: float  # height of a person at the lower border
    lowest: float = (
        1.02  # share of the height, down to which feet may stand; above 1 they are cut off
    )

    @property
    def foreshortened(self) -> float:
        """How much of a way into the picture is seen of it."""
        return {STREET: 0.4, FLOOR: 0.65}.get(self.kind, 1.0)

    @property
    def sides(self) -> list[str]:
        """Where somebody may come from."""
        return ["left", "right", "bottom"] + ["top"] * (self.kind != STREET)

    def person(self, y: float) -> float:
        """The height of a person whose feet are there."""
        if self.kind in (ABOVE, DESK):
            return self.near
        grown = (y - self.horizon) / (self.height - self.horizon)
        return self.near * float(np.clip(grown, FAR * self.height / self.near, LARGEST))

    def box(self, at: np.ndarray, shape: tuple[float, float]) -> Box:
        """Of a thing that stands at [x, y], `shape` in heights of a person."""
        tall = self.person(float(at[1]))
        width, height = shape[0] * tall, shape[1] * tall
        x, y = float(at[0]), float(at[1])
        return Box(x - width / 2, y - height, x + width / 2, y)


def view(kind: str, random: np.random.Generator) -> View:
    """A camera of that kind, drawn at random."""
    width, height = SIZES_PX[random.integers(len(SIZES_PX))]
    near = {STREET: (0.3, 0.85), FLOOR: (0.25, 0.9), ABOVE: (0.13, 0.35), DESK: (0.3, 0.5)}[kind]
    above = {STREET: (0.05, 0.4), FLOOR: (-1.2, -0.25)}.get(kind, (0.0, 0.0))
    horizon, near_px = height * random.uniform(*above), height * random.uniform(*near)
    cut = kind in (STREET, FLOOR) and random.random() < CUT
    return View(kind, width, height, horizon, near_px, random.uniform(1.1, 1.5) if cut else 1.02)
