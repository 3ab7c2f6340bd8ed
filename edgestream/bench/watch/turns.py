# SPDX-License-Identifier: Apache-2.0
"""Several watchers on the same pictures in turn, one picture each, so that all meet one machine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from edgestream.events import Comment, Event
from edgestream.sources.picture import Picture

READ_AHEAD = 16  # pictures; decoding them is nobody's time


class Watching(Protocol):
    """A PictureStream, or what is compared with one."""

    def push(self, pictures: Picture, /) -> list[Event]:
        """A picture to the events that it brings."""
        ...

    def finish(self) -> list[Event]:
        """The pictures have ended."""
        ...

    def reset(self) -> None:
        """Back to an empty stream."""
        ...


@dataclass(slots=True)
class Turns:
    """What one watcher said, and the processor time that it took."""

    comments: list[Comment] = field(default_factory=list)
    pictures: int = 0
    cpu_s: float = 0.0

    def take(self, watching: Watching, picture: Picture | None) -> None:
        """Its turn; None: the pictures have ended."""
        start_ns = time.process_time_ns()
        events = watching.finish() if picture is None else watching.push(picture)
        self.cpu_s += (time.process_time_ns() - start_ns) / 1e9
        self.pictures += picture is not None
        self.comments += [event for event in events if isinstance(event, Comment)]


def in_turn(watchers: Mapping[str, Watching], pictures: Iterable[Picture]) -> dict[str, Turns]:
    """One film through all of them, each from its beginning; by their names."""
    turns = {name: Turns() for name in watchers}
    for watching in watchers.values():
        watching.reset()
    for some in _pieces(iter(pictures)):
        for picture in some:
            for name, watching in watchers.items():
                turns[name].take(watching, picture)
    for name, watching in watchers.items():
        turns[name].take(watching, None)
    return turns


def _pieces(pictures: Iterator[Picture]) -> Iterator[list[Picture]]:
    while some := list(islice(pictures, READ_AHEAD)):
        yield some
