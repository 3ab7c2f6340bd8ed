# SPDX-License-Identifier: Apache-2.0
"""The numbers of one track: class, box, way, age, borders, what was said of it, who is near."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sim_thing import ENTERS, LEAVES, MOVES, STOPS

from edgestream.vision.labels import LABELS
from edgestream.vision.perception.boxes import SIDES, Box, apart, inside, iou, touched
from edgestream.vision.perception.colour import NAMES
from edgestream.vision.perception.track import Sight, Track, travelled

KINDS = (ENTERS, STOPS, MOVES, LEAVES)
CODE = 12  # numbers that tell one track from another
CODES = np.random.default_rng(0).normal(0, 1, (64, CODE)).astype(np.float32)
N_SPANS_MS = (400.0, 800.0, 1400.0, 2400.0)  # over which ways are given
N_NUMBERS = 121


class Followed:
    """A track with what was said of it."""

    def __init__(self, track: Track, began_ms: float, width: int, height: int) -> None:
        self.track, self.began_ms, self.width, self.height = track, began_ms, width, height
        self.said: str | None = None
        self.said_ms = track.first.time_ms
        self.entered = False
        self.anchor: Sight = track.first  # where it was when something was said of it last
        self.ended_ms = 0.0

    def say(self, kind: str, time_ms: float) -> None:
        """Something was said of it."""
        self.said, self.said_ms = kind, time_ms
        self.entered |= kind == ENTERS
        self.anchor = self.track.sights[-1]

    def vector(self, one: Box, other: Box) -> NDArray[np.float64]:
        """The way from one box to the other in sizes, [x, y]."""
        size = max(1.0, self.track.box.size)
        return travelled(one, other, self.width, self.height) / size

    def way_since(self, time_ms: float) -> float:
        """The longest way from a sight since then to the newest one, in sizes."""
        sights = self.track.since(time_ms)
        newest = self.track.sights[-1].box
        return max((float(np.abs(self.vector(s.box, newest)).max()) for s in sights), default=0.0)


def features(
    one: Followed, time_ms: float, ended: bool, first: bool, n_alive: int,
    near: Followed | None, was: Followed | None,
) -> NDArray[np.float32]:  # fmt: skip
    """float32 [N_NUMBERS], most of them within -3 and 3.

    `first`: of its picture. `near`: the nearest other track. `was`: of the tracks that ended
    lately the one nearest to where this one began.
    """
    numbers = [
        *_what(one.track), *_when(one, time_ms), *_where(one), *_ways(one, time_ms),
        *_said(one, time_ms), float(ended), float(first), min(n_alive, 16) / 8,
        *_near(one, near), *_was(one, was, time_ms), *CODES[one.track.number % len(CODES)],
    ]  # fmt: skip
    return np.clip(np.array(numbers, np.float32), -4, 4)


def _what(track: Track) -> list[float]:
    return [
        *(float(track.label == label) for label in LABELS),
        *(float(track.colour == name) for name in NAMES),
        track.score, track.foreground, float(track.part), float(track.gone),
        float(track.going_out), float(track.sights[-1].detected),
        track.n_detected / track.n_sights, np.log(track.n_sights) / 2,
        np.log1p(track.n_detected) / 2, float(track.n_sights >= 3), float(track.n_detected >= 2),
    ]  # fmt: skip


def _when(one: Followed, time_ms: float) -> list[float]:
    track = one.track
    missed, lost = (time_ms - track.seen_ms) / 1000, (time_ms - track.kept_ms) / 1000
    age = (time_ms - track.first.time_ms) / 1000
    return [
        float(missed == 0), float(lost == 0), min(missed, 3.0), min(lost, 3.0), np.log1p(age),
        float(track.first.time_ms - one.began_ms <= 700), float(time_ms - one.began_ms < 3000),
    ]  # fmt: skip


def _where(one: Followed) -> list[float]:
    track, size = one.track, (one.width, one.height)
    box, begun = track.sights[-1].box, track.first.box
    now, then = touched(box, *size), touched(begun, *size)
    hangs = "top" in now and box.bottom < 0.8 * one.height and box.height < 1.8 * box.width
    return [
        *_shares(box, *size), *_shares(begun, *size), *(float(side in now) for side in SIDES),
        *(float(side in then) for side in SIDES), float(hangs),
        np.log(max(1.0, box.size) / one.height) + 1, box.width / one.width,
        box.height / one.height, np.log(max(1.0, box.width) / max(1.0, box.height)),
    ]  # fmt: skip


def _shares(box: Box, width: float, height: float) -> list[float]:
    return [
        2 * box.left / width - 1, 2 * box.top / height - 1,
        2 * box.right / width - 1, 2 * box.bottom / height - 1,
    ]  # fmt: skip


def _ways(one: Followed, time_ms: float) -> list[float]:
    track, newest = one.track, one.track.sights[-1].box
    size = max(1.0, track.box.size)
    numbers = [*(track.velocity() / size)]
    for span_ms in N_SPANS_MS:
        sights = track.since(time_ms - span_ms)
        since = sights[0].box if sights else newest
        numbers += [*(2 * one.vector(since, newest)), 2 * one.way_since(time_ms - span_ms)]
        numbers += [*((newest.centre - since.centre) / size)]
    numbers += [*one.vector(track.first.box, newest), *(2 * one.vector(one.anchor.box, newest))]
    numbers += [*(4 * (newest.centre - track.first.box.centre) / (one.width, one.height))]
    steps = [one.vector(a.box, b.box) for a, b in pairwise(list(track.sights)[-5:])]
    total = np.sum(steps, 0) if steps else np.zeros(2)
    axis = int(np.abs(total).argmax())
    numbers.append(sum(float(s[axis] * np.sign(total[axis]) > 0.06) for s in steps) / 4)
    return numbers


def _said(one: Followed, time_ms: float) -> list[float]:
    return [
        *(float(one.said == kind) for kind in KINDS), float(one.entered),
        np.log1p((time_ms - one.said_ms) / 1000),
    ]  # fmt: skip


def _near(one: Followed, near: Followed | None) -> list[float]:
    if near is None:
        return [0.0] * 9
    box, other = one.track.sights[-1].box, near.track.sights[-1].box
    size = max(1.0, box.size)
    return [
        1.0, *((other.centre - box.centre) / size), iou(box, other), inside(box, other),
        inside(other, box), float(near.track.label == one.track.label),
        np.log(max(1.0, other.size) / size), float(other.bottom > box.bottom),
    ]  # fmt: skip


def _was(one: Followed, was: Followed | None, time_ms: float) -> list[float]:
    if was is None:
        return [0.0] * 8
    last, begun = was.track.sights[-1].box, one.track.first.box
    return [
        1.0, min(4.0, apart(last, begun)), (time_ms - was.ended_ms) / 2000,
        (one.track.first.time_ms - was.track.seen_ms) / 2000, float(was.said is not None),
        float(was.said == LEAVES), float(was.track.label == one.track.label),
        np.log(max(1.0, last.size) / max(1.0, begun.size)),
    ]  # fmt: skip
