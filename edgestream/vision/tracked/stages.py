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
from edgestream.vision.stages import Commentator, Seen
from edgestream.vision.tracked.follower import Follower


@dataclass(kw_only=True)
class TrackCommentator(Commentator):
    """A comment is whole when it comes; only pictures can be given up."""

    follower: Follower  # -> comments

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What is followed in the newest picture."""
        return self.follower.seen

    def reset(self) -> None:
        """Back to an empty stream."""
        super().reset()
        self.follower.reset()

    def push(self, picture: Picture) -> list[Event]:
        """A picture to the events that it brings; Comments have no staleness yet."""
        began_s = time.perf_counter()
        self.counts.pictures += 1
        events: list[Event] = [*self.follower.push(picture)]
        self.counts.encoded += self.follower.looked.ran if self.follower.looked else 0
        self.cost = Cost(read_ms=1000 * (time.perf_counter() - began_s))
        return events

    def ask(self, question: str) -> Callable[[], str]:
        """Its words are those of its comments."""
        raise UsageError("a watcher of tracks answers no questions; leave them out")

    def interrupt(self) -> list[Event]:
        """What was seen before a gap says nothing of what comes after it."""
        return [*self.follower.interrupt()]

    def finish(self) -> list[Event]:
        """The pictures have ended: says what is held."""
        return [*self.follower.finish()]
