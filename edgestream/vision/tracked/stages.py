# SPDX-License-Identifier: Apache-2.0
"""The stages of a watcher of tracks in a row: pictures in, comments out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from edgestream.errors import UsageError
from edgestream.events import Event
from edgestream.sources.picture import Picture
from edgestream.vision.governor import Cost
from edgestream.vision.perception.perception import Looked, Perception
from edgestream.vision.stages import Commentator, Seen
from edgestream.vision.tracked.teller import Teller, in_pixels


@dataclass(kw_only=True)
class TrackCommentator(Commentator):
    """A comment is whole when it comes; only pictures can be given up."""

    perception: Perception  # -> tracks, and changes of the view
    teller: Teller  # -> comments
    _looked: Looked | None = None
    _shape: tuple[int, ...] = ()

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What is followed in the newest picture."""
        if self._looked is None:
            return ()
        looked = self._looked
        return tuple(
            Seen(
                track.number, track.label, track.colour, in_pixels(track.box, looked.scale),
                round(track.score, 2),
            )
            for track in looked.step.alive
            if self.teller.follows(track)
        )  # fmt: skip

    def reset(self) -> None:
        """Back to an empty stream."""
        super().reset()
        self.interrupt()

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the events that it brings; Comments have no staleness yet."""
        began_s = time.perf_counter()
        self.counts.pictures += 1
        events: list[Event] = []
        if picture.rgb.shape != self._shape:  # another camera, or another setting of it
            events += self.interrupt() if self._shape else []
            self._shape = picture.rgb.shape
        self._looked = self.perception.push(picture.rgb, picture.time_ms)
        self.counts.encoded += self._looked.ran
        events += self.teller.push(self._looked)
        self.cost = Cost(read_ms=1000 * (time.perf_counter() - began_s))
        return events

    def ask(self, question: str) -> Callable[[], str]:
        """Its words are those of its comments."""
        raise UsageError("a watcher of tracks answers no questions; leave them out")

    def interrupt(self) -> list[Event]:
        """What was seen before a gap says nothing of what comes after it."""
        events: list[Event] = [*self.teller.finish(self._looked)]
        self.perception.reset()
        self.teller.reset()
        self._looked = None
        return events

    def finish(self) -> list[Event]:
        """The pictures have ended: says what is held."""
        return [*self.teller.finish(self._looked)]
