# SPDX-License-Identifier: Apache-2.0
"""A simulated scene: a camera, what moves before it, and what disturbs its view."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from sim_route import Route
from sim_thing import Thing, thing_of
from sim_view import View

Random = np.random.Generator


@dataclass
class Scene:
    """A camera, the things before it, and what else disturbs its view."""

    kind: str
    view: View
    n: int
    random: Random
    things: list[Thing] = field(default_factory=list)
    sun: float = 0.0  # how far shadows fall, in widths of a thing; below 0 to the left
    swaying: int = 0  # leaves, curtains, screens
    bursts: float = 0.0  # jumps of exposure a minute
    across: bool = True  # cars drive to the left and right, else up and down
    road: float = 0.6  # share of the picture's height, or width, in which cars drive

    def add(self, route: Route, rides: int | None = None) -> Thing:
        """Keeps the thing that went that way."""
        thing = thing_of(route, len(self.things), self.n, self.random, rides=rides)
        self.things.append(thing)
        return thing
