# SPDX-License-Identifier: Apache-2.0
"""What a detector would find in a simulated scene: most things, mostly, about where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sim_thing import Thing, hidden
from sim_view import ABOVE, View

from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.detector import Detection, one_each

MIN_SCORE = 0.2
LIKE = 45.0  # pixels of size: things so large are found as SURENESS says
SURENESS = {"person": 1.7, "bicycle": 0.7, "vehicle": 1.6, "animal": 0.9, "something": -3.2}
FROM_ABOVE = -1.2  # few pictures of training look straight down
HAND = 0.1  # a hand is a person to it, now and then
HELD = 0.8  # of a wave from picture to picture
LAPSE = 0.012  # chance in each picture that a thing is missed for a while
WRONG = {"person": "animal", "animal": "person", "vehicle": "person", "bicycle": "vehicle",
         "something": "animal"}  # fmt: skip
FALSE_A_PICTURE = 0.004


def wave(n: int, random: np.random.Generator, held: float = HELD) -> NDArray[np.float64]:
    """Noise of spread 1 that goes on from picture to picture, [n]."""
    noise = random.normal(0, np.sqrt(1 - held**2), n)
    noise[0] = random.normal()
    for i in range(1, n):
        noise[i] += held * noise[i - 1]
    return noise


class Habit:
    """How a detector takes one thing: how sure it is, where it errs. Drawn once a scene."""

    def __init__(self, thing: Thing, view: View, random: np.random.Generator) -> None:
        n = len(thing.boxes)
        hard = random.normal(0, 0.45) + (FROM_ABOVE if view.kind == ABOVE else 0)
        base = HAND if thing.hand else SURENESS[thing.label]
        self.sure = base + hard + random.uniform(0.4, 0.9) * wave(n, random)
        lapses = np.flatnonzero(random.random(n) < LAPSE)
        for begin in lapses:
            self.sure[begin : begin + int(random.geometric(0.3))] -= 4
        wrong = wave(n, random, 0.9) > (1.6 if view.kind == ABOVE else 2.4)
        self.labels = [WRONG[thing.label] if w else thing.label for w in wrong]
        self.cut = np.clip(0.4 + 0.3 * wave(n, random, 0.9), 0, 0.8)  # of what is hidden
        # Small things jump more: a pixel is more of them.
        self.place = np.stack([wave(n, random, 0.3) for _ in range(2)], 1) * 0.014
        self.grow = np.stack([wave(n, random, 0.5) for _ in range(2)], 1) * (0.04, 0.025)


def logistic(x: float) -> float:
    """From any number to (0, 1)."""
    return float(1 / (1 + np.exp(-x)))


def found(
    thing: Thing, habit: Habit, i: int, box: Box, covered: float, random: np.random.Generator
) -> Detection | None:
    """What the detector makes of a thing of which `box` is in the picture."""
    whole = thing.boxes[i]
    assert whole is not None
    share = (1 - covered) * min(1.0, box.area / max(1.0, whole.area) / max(0.05, thing.opened[i]))
    share = max(share, 0.6) if thing.hand else share
    large = 0.75 * float(np.clip(np.log(box.size / LIKE), -2.0, 0.7))
    score = logistic(habit.sure[i] + large - 3.2 * (1 - share) ** 1.3)
    if score < MIN_SCORE:
        return None
    size = (box.width, box.height)
    rough = 0.6 + 22 / max(8.0, box.size)
    shift = habit.place[i] * size * rough + random.normal(0, 0.3, 2)
    grow = 1 + habit.grow[i] * rough
    x, y = box.centre + shift
    half = np.array(size) * grow / 2
    hides = 2 * half[1] * covered * habit.cut[i]  # what is before it stands lower
    return Detection(
        Box(x - half[0], y - half[1], x + half[0], y + half[1] - hides), habit.labels[i], score
    )


class Mistaken:
    """Things that the detector sees where nothing is: some for the whole scene, some once."""

    def __init__(self, view: View, n: int, random: np.random.Generator) -> None:
        self.view = view
        self.lasting = []
        for _ in range(int(random.choice([0, 0, 0, 1, 2]))):
            label = str(random.choice(["person", "vehicle", "animal"]))
            self.lasting.append((_some_box(view, random), label, random.uniform(-2.2, -0.3)
                                 + 0.6 * wave(n, random)))  # fmt: skip

    def push(self, i: int, random: np.random.Generator) -> list[Detection]:
        """Those of a picture."""
        made = []
        for box, label, sure in self.lasting:
            if (score := logistic(sure[i])) >= MIN_SCORE:
                jitter = Box(*(at + random.normal(0, 0.02 * box.size) for at in box))
                made.append(Detection(jitter, label, score))
        if random.random() < FALSE_A_PICTURE:
            label = str(random.choice(["person", "animal", "vehicle", "bicycle"]))
            score = float(random.uniform(MIN_SCORE, 0.6))
            made.append(Detection(_some_box(self.view, random), label, score))
        return made


def _some_box(view: View, random: np.random.Generator) -> Box:
    width, height = random.uniform(0.04, 0.25, 2) * (view.width, view.height)
    x, y = random.uniform(0, view.width - width), random.uniform(0, view.height - height)
    return Box(x, y, x + width, y + height)


def detections(
    things: list[tuple[Thing, Box]],
    habits: list[Habit],
    mistaken: Mistaken,
    i: int,
    random: np.random.Generator,
) -> list[tuple[Detection, int | None]]:
    """Of a picture, each with the number of its thing; `things` with what is in view of them."""
    made: list[tuple[Detection, int | None]] = []
    for thing, box in things:
        before = [b for t, b in things if t is not thing and b.bottom > box.bottom + 1
                  and t.rides != thing.number and thing.rides != t.number]  # fmt: skip
        one = found(thing, habits[thing.number], i, box, hidden(box, before), random)
        if one is not None:
            made.append((one, thing.number))
    made += [(d, None) for d in mistaken.push(i, random)]
    made.sort(key=lambda pair: -pair[0].score)
    kept = one_each([d for d, _ in made])
    return [pair for pair in made if any(pair[0] is d for d in kept)]
