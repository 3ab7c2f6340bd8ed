# SPDX-License-Identifier: Apache-2.0
"""In which named part of the picture a track stands."""

from __future__ import annotations

from typing import NamedTuple

from edgestream.vision.perception.boxes import Box
from edgestream.vision.zones import Zones

ZONE_MS = 350.0  # in a zone, until it has entered it


class Change(NamedTuple):
    """From one zone to another, either of which may be none."""

    left: str | None
    entered: str | None
    since_ms: float


class Place:
    """Of one track, by the middle of its lower edge; `zone` is the one that it is in."""

    def __init__(self, zones: Zones | None, width: int, height: int) -> None:
        self.zone: str | None = None
        self._zones = zones
        self._width, self._height = width, height
        self._next: tuple[str | None, float] = (None, 0.0)  # where it may be, and since when

    def begin(self, box: Box, time_ms: float) -> None:
        """It came into the picture there."""
        self.zone = self._at(box)
        self._next = (self.zone, time_ms)

    def push(self, box: Box, time_ms: float) -> Change | None:
        """It is there now; what that changes, once it has lasted."""
        zone = self._at(box)
        if zone != self._next[0]:
            self._next = (zone, time_ms)
        since_ms = self._next[1]
        if zone == self.zone or time_ms - since_ms < ZONE_MS:
            return None
        before, self.zone = self.zone, zone
        return Change(before, zone, since_ms)

    def _at(self, box: Box) -> str | None:
        if self._zones is None:
            return None
        x, y = (box.left + box.right) / 2 / self._width, box.bottom / self._height
        return self._zones.zone_at(min(1.0, x), min(1.0, y))
