# SPDX-License-Identifier: Apache-2.0
"""Tracks as rows of numbers: what the streaming model is given of each, picture by picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from track_features import Followed, features
from track_words import Saying

from edgestream.vision.perception.boxes import apart
from edgestream.vision.perception.track import Track
from edgestream.vision.perception.tracker import Step

MAX_ROWS = 12  # a picture
LATELY_MS = 1400.0  # a track that moved so long ago is worth a row
MOVED = 0.05  # sizes
NEW_MS = 1200.0
BEAT = 5  # pictures; of the others each has a row so often
GONE_MS = 5000.0  # tracks that ended so long ago are remembered


class Row(NamedTuple):
    """One track in one picture."""

    track: Track
    ended: bool
    numbers: NDArray[np.float32]


class TrackRows:
    """Push the steps of a tracker, get rows; `say` tells what was said of a track."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.followed: dict[int, Followed] = {}
        self.gone: deque[Followed] = deque(maxlen=16)
        self.began_ms: float | None = None
        self.n_pictures = 0

    def active(self, step: Step) -> list[tuple[Followed, bool]]:
        """The tracks that have a row in this picture, and whether each has ended."""
        if self.began_ms is None:
            self.began_ms = step.time_ms
        self.n_pictures += 1
        while self.gone and step.time_ms - self.gone[0].ended_ms > GONE_MS:
            self.gone.popleft()
        for track in step.born:
            self.followed[track.number] = Followed(track, self.began_ms, *self.size)
        ended = [self.followed.pop(t.number) for t in step.ended if t.number in self.followed]
        chosen = [(f, True) for f in ended if f.track.n_sights > 2]
        alive = [self.followed[t.number] for t in step.alive]
        worth = sorted((f for f in alive if self._worth(f, step.time_ms)), key=self._less_urgent)
        chosen += [(f, False) for f in worth[: MAX_ROWS - len(chosen)]]
        for one in ended:
            one.ended_ms = step.time_ms
            self.gone.append(one)
        return sorted(chosen, key=lambda pair: pair[0].track.number)

    def row(self, one: Followed, ended: bool, step: Step, first: bool) -> Row:
        """The numbers of a track; ask for it after what was said of the rows before it."""
        others = [f for f in self.followed.values() if f is not one]
        near = min(others, key=lambda f: apart(f.track.box, one.track.box), default=None)
        lost = [f for f in self.gone if f is not one and f.ended_ms <= step.time_ms]
        was = min(lost, key=lambda f: apart(f.track.box, one.track.first.box), default=None)
        numbers = features(one, step.time_ms, ended, first, len(self.followed), near, was)
        return Row(one.track, ended, numbers)

    def say(self, track: Track, saying: Saying, time_ms: float) -> None:
        """Remembers what was said of it."""
        for one in (*self.followed.values(), *self.gone):
            if one.track is track:
                one.say(saying[0], time_ms)

    def _worth(self, one: Followed, time_ms: float) -> bool:
        track = one.track
        if time_ms - track.first.time_ms <= NEW_MS or track.kept_ms < time_ms:
            return True
        beat = (track.number + self.n_pictures) % BEAT == 0
        return beat or one.way_since(time_ms - LATELY_MS) > MOVED

    def _less_urgent(self, one: Followed) -> tuple[bool, bool, float]:
        """Sorts first what should have a row."""
        lost = one.track.kept_ms < one.track.seen_ms
        return (one.track.n_sights < 3, lost, -one.way_since(one.track.seen_ms - LATELY_MS))


def stacked(rows: Sequence[Row]) -> NDArray[np.float32]:
    """[n, N_NUMBERS]."""
    return np.stack([row.numbers for row in rows])
