# SPDX-License-Identifier: Apache-2.0
"""The way of one simulated thing: it comes, walks, stands, walks on, leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sim_view import ABOVE, PICTURE_MS, SHAPES, SHAPES_ABOVE, SPEEDS, View

from edgestream.vision.perception.boxes import Box

MAX_PICTURES = 400
DOOR_PICTURES = 3  # until somebody stands in a door
Point = NDArray[np.float64]


class Route:
    """Goes step by step; `boxes` are whole ones, from picture `first` on.

    `pauses`: pictures of standing, [begin, end). `opened`: how much of it is seen, where it comes
    through a door.
    """

    def __init__(self, view: View, label: str, first: int, random: np.random.Generator) -> None:
        self.view, self.random, self.first = view, random, first
        shapes = SHAPES_ABOVE if view.kind == ABOVE else SHAPES
        grown = random.normal(1, 0.1, 2)
        self.shape = (shapes[label][0] * grown[0], shapes[label][1] * grown[1])
        self.speed = float(random.uniform(*SPEEDS[label]))
        self.label = label
        self.at: Point = np.zeros(2)
        self.boxes: list[Box] = []
        self.opened: list[float] = []
        self.pauses: list[tuple[int, int]] = []
        self.left = False

    @property
    def now(self) -> int:
        """The picture that comes next."""
        return self.first + len(self.boxes)

    def place(self, at: Point | None = None) -> Route:
        """It is there from its first picture on."""
        self.at = self.inner() if at is None else at
        return self

    def inner(self) -> Point:
        """A place in the picture where it can stand as a whole."""
        view = self.view
        low = 0.55 if view.kind == "street" else 0.35
        y = view.height * self.random.uniform(low, view.lowest)
        half = min(0.4 * view.width, self.shape[0] * view.person(y) / 2)
        return np.array([self.random.uniform(half, view.width - half), y])

    def outside(self, side: str, beside: Point | None = None) -> Point:
        """A place just out of the picture at that side."""
        view, at = self.view, self.inner() if beside is None else beside.copy()
        tall = view.person(at[1])
        width, height = self.shape[0] * tall, self.shape[1] * tall
        if side in ("left", "right"):
            at[0] = -width / 2 - 2 if side == "left" else view.width + width / 2 + 2
        elif side == "top":
            at[1] = -2.0
        else:
            y = view.height + height
            while y - self.shape[1] * view.person(y) < view.height and y < 4 * view.height:
                y += 4
            at[1] = y + 1
        return at

    def come(self, side: str, beside: Point | None = None) -> Route:
        """From outside."""
        return self.place(self.outside(side, beside))

    def turn(self) -> Route:
        """It lies the other way round: a car that drives up or down, seen from above."""
        if self.view.kind == ABOVE:
            self.shape = self.shape[1], self.shape[0]
        elif self.label == "vehicle":
            self.shape = 0.55 * self.shape[0], self.shape[1]
        return self

    def come_by_door(self) -> Route:
        """Out of a door or from behind a corner: it is seen little by little."""
        self.place()
        for i in range(DOOR_PICTURES):
            self._show((i + 1) / (DOOR_PICTURES + 1))
        return self

    def go(self, to: Point, speed: float = 1.0) -> Route:
        """Walks to [x, y]."""
        pace = self.random.normal(1, 0.06)
        while len(self.boxes) < MAX_PICTURES:
            pace += 0.3 * (1 - pace) + self.random.normal(0, 0.05)
            way = to - self.at
            tall = self.view.person(self.at[1])
            # On the ground a way up or down the picture is longer than it looks.
            ground = np.hypot(way[0], way[1] / self.view.foreshortened)
            step = self.speed * speed * pace * tall * PICTURE_MS / 1000
            if ground <= step:
                self.at = to.copy()
                self._show()
                return self
            self.at = self.at + way * (step / ground)
            self._show()
        return self

    def stand(self, seconds: float) -> Route:
        """Stays, as people do: not quite still."""
        begin, n = self.now, max(1, round(1000 * seconds / PICTURE_MS))
        place = self.at.copy()
        for _ in range(n):
            sway = self.random.normal(0, 0.006, 2) * self.view.person(place[1])
            self.at = place + (0 if self.label == "vehicle" else sway)
            self._show()
        self.at = place
        self.pauses.append((begin, self.now))
        return self

    def leave(self, side: str) -> Route:
        """Walks out of the picture."""
        self.left = True
        at = self.at
        if side in ("top", "bottom"):
            drift = self.random.normal(0, 0.1) * self.view.width
            at = np.array([np.clip(at[0] + drift, 0, self.view.width), at[1]])
        return self.go(self.outside(side, at))

    def leave_by_door(self) -> Route:
        """Goes where it is seen no more."""
        self.left = True
        self.go(self.inner())
        for i in range(DOOR_PICTURES):
            self._show(1 - (i + 1) / (DOOR_PICTURES + 1))
        return self

    def _show(self, opened: float = 1.0) -> None:
        self.boxes.append(self.view.box(self.at, self.shape))
        self.opened.append(opened)
