# SPDX-License-Identifier: Apache-2.0
"""Simulated hands that reach in from above a table, bring things and take them."""

from __future__ import annotations

import numpy as np
from sim_thing import ENTERS, LEAVES, Happened, Thing
from sim_view import PICTURE_MS, View

from edgestream.vision.perception.boxes import Box

REACH = (0.35, 0.85)  # of the picture's height
WIDTH = (0.12, 0.34)  # of its width
TWO_HANDS = 0.3


def hands(view: View, n: int, random: np.random.Generator) -> list[Thing]:
    """Hands one after the other, sometimes two at once, and the things they put down."""
    things: list[Thing] = []
    places: dict[float, Thing] = {}  # of things on the table, by where they stand
    at = int(random.integers(6, 30))
    while at < n - 20:
        two = random.random() < TWO_HANDS
        middles = random.uniform(0.02, 0.42), random.uniform(0.58, 0.98)
        for middle in middles if two else (random.choice(middles),):
            hand, low = _hand(view, n, at + int(random.integers(0, 3)), float(middle), random)
            hand.number = len(things)
            hand.events = [e.__class__(e.time_ms, e.known_ms, e.kind, e.sides, hand.number)
                           for e in hand.events]  # fmt: skip
            things.append(hand)
            _put_or_take(things, places, hand, low, float(middle), view, random)
        at += int(random.integers(14, 50))
    return things


def _hand(
    view: View, n: int, first: int, middle: float, random: np.random.Generator
) -> tuple[Thing, int]:
    """A hand, and the picture in which it is lowest."""
    down, dwell, up = (int(random.integers(*of)) for of in ((2, 6), (2, 10), (2, 6)))
    width, reach = random.uniform(*WIDTH) * view.width, random.uniform(*REACH) * view.height
    depth = np.concatenate([
        np.linspace(0, 1, down + 1)[1:], np.ones(dwell) + random.normal(0, 0.03, dwell),
        np.linspace(1, 0, up + 1)[1:-1],
    ])  # fmt: skip
    drift = random.normal(0, 0.02, len(depth)).cumsum() * view.width
    boxes: list[Box | None] = [None] * n
    for k, share in enumerate(depth):
        if first + k < n:
            x = middle * view.width + drift[k]
            wide = width * (0.7 + 0.3 * share)
            boxes[first + k] = Box(x - wide / 2, -20.0, x + wide / 2, max(6.0, reach * share))
    last = first + len(depth) - 1
    events = [Happened(first * PICTURE_MS, (first + 2) * PICTURE_MS, ENTERS, ("top",), 0)]
    if last < n - 1:
        events.append(Happened(last * PICTURE_MS, (last + 2) * PICTURE_MS, LEAVES, ("top",), 0))
    thing = Thing(0, "person", boxes, np.ones(n), "orange", float(random.uniform(0.5, 1)))
    thing.hand, thing.events = True, events
    return thing, first + down + dwell


def _put_or_take(
    things: list[Thing], places: dict[float, Thing], hand: Thing, low: int, middle: float,
    view: View, random: np.random.Generator,
) -> None:  # fmt: skip
    n = len(hand.boxes)
    if places and random.random() < 0.5:
        place = float(random.choice(list(places)))
        if abs(place - middle) < 0.15:
            taken = places.pop(place)
            taken.boxes[low:] = [None] * max(0, n - low)
            return
    if random.random() < 0.6 and low < n and hand.boxes[low - 1] is not None:
        foot = hand.boxes[low - 1]
        assert foot is not None
        size = random.uniform(0.06, 0.16) * view.height
        box = Box(
            foot.centre[0] - size / 2, foot.bottom - size, foot.centre[0] + size / 2, foot.bottom
        )
        boxes: list[Box | None] = [None] * low + [box] * (n - low)
        colour = str(random.choice(["blue", "red"]))
        contrast = float(random.uniform(0.4, 1))
        thing = Thing(len(things), "something", boxes, np.ones(n), colour, contrast)
        things.append(thing)
        places[middle] = thing
