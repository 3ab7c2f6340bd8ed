# SPDX-License-Identifier: Apache-2.0
"""Follows what moves, and says in its own words what happens: pictures in, comments out."""

from __future__ import annotations

from dataclasses import dataclass

from edgestream.events import Comment
from edgestream.sources.picture import Picture
from edgestream.vision.perception.perception import Looked, Perception
from edgestream.vision.perception.track import Track
from edgestream.vision.stages import Seen
from edgestream.vision.tracked.teller import Teller, in_pixels


@dataclass(kw_only=True)
class Follower:
    """Perception and teller of one stream; `looked` is what the newest picture showed."""

    perception: Perception  # -> tracks, and changes of the view
    teller: Teller  # -> comments
    looked: Looked | None = None
    _shape: tuple[int, ...] = ()

    @property
    def present(self) -> list[Track]:
        """The tracks that are told of, or could be, in the newest picture."""
        if self.looked is None:
            return []
        return [track for track in self.looked.step.alive if self.teller.follows(track)]

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What is followed in the newest picture."""
        scale = self.looked.scale if self.looked else 1.0
        return tuple(
            Seen(
                track.number, track.label, track.colour, in_pixels(track.box, scale),
                round(track.score, 2),
            )
            for track in self.present
        )  # fmt: skip

    def reset(self) -> None:
        """Back to an empty stream."""
        self.interrupt()
        self.perception.reset()
        self._shape = ()

    def push(self, picture: Picture) -> list[Comment]:
        """A picture to the comments that it brings."""
        comments: list[Comment] = []
        if picture.rgb.shape != self._shape:  # another camera, or another setting of it
            comments += self.interrupt() if self._shape else []
            self._shape = picture.rgb.shape
        self.looked = self.perception.push(picture.rgb, picture.time_ms)
        return comments + self.teller.push(self.looked)

    def interrupt(self) -> list[Comment]:
        """What was seen before a gap says nothing of what comes after it; says what is held."""
        comments = self.finish()
        self.perception.interrupt()
        self.teller.reset()
        self.looked = None
        return comments

    def finish(self) -> list[Comment]:
        """The pictures have ended: says what is held."""
        return self.teller.finish(self.looked)
