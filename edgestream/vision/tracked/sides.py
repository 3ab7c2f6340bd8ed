# SPDX-License-Identifier: Apache-2.0
"""Over which side of the picture a track came in, and over which it went out."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream.vision.perception.boxes import Box, touched
from edgestream.vision.perception.track import Sight, Track, travelled

COMES_FROM = 0.6  # sizes from a border, where what came from there is seen first
LEAST_WAY = 0.02  # of the picture, that tells where something came from in its middle
LAST_SIGHTS, OUT_WAY_MS = 3, 2000.0  # that tell where it goes out
WHOLE = 0.6  # of the largest that it was lately
CONTACT_WEIGHT = 0.3  # of a border that it lies along, beside the way to it


def side_in(track: Track, width: int, height: int) -> str | None:
    """Where it came from: a border that it touched at first, the one it went away from most.

    None where it came into view in the middle of the picture, as through a door.
    """
    first, now = track.first.box, track.sights[-1].box
    if track.hung:
        return "top"
    sides = touched(first, width, height)
    way = (now.centre - first.centre) / (width, height)
    ways = {"left": way[0], "top": way[1], "right": -way[0], "bottom": -way[1]}
    if not sides:  # it may have come a part of the way between two pictures
        room = first.size * COMES_FROM
        wide = Box(first.left - room, first.top - room, first.right + room, first.bottom + room)
        sides = [side for side in touched(wide, width, height) if ways[side] > LEAST_WAY]
    if not sides:
        return None
    return max(sides, key=lambda side: ways[side] + _contact([track.first], side, width, height))


def side_out(track: Track, width: int, height: int) -> str | None:
    """Where it went: a border that it touched in the end, the one it went to most."""
    last = list(track.sights)[-LAST_SIGHTS:]
    sides = {side for s in last[-2:] for side in touched(s.box, width, height)}
    if not sides:
        return None
    if "top" in sides and track.hung:
        return "top"
    whole = _last_whole(track)
    before = track.since(whole.time_ms - OUT_WAY_MS)[0]
    way = travelled(before.box, whole.box, width, height) / (width, height)
    ways = {"left": -way[0], "top": -way[1], "right": way[0], "bottom": way[1]}
    return max(sorted(sides), key=lambda side: ways[side] + _contact(last, side, width, height))


def _last_whole(track: Track) -> Sight:
    """The last time that more than a rest of it was seen."""
    largest = max(s.box.area for s in track.sights)
    return [s for s in track.sights if s.box.area >= WHOLE * largest][-1]


def _contact(sights: Sequence[Sight], side: str, width: int, height: int) -> float:
    """Of the mean share of a border that the sights lie along, as much as it weighs."""
    boxes = [s.box for s in sights if side in touched(s.box, width, height)]
    along = [b.width / width if side in ("top", "bottom") else b.height / height for b in boxes]
    return CONTACT_WEIGHT * sum(along) / len(sights)
