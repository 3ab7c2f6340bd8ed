# SPDX-License-Identifier: Apache-2.0
"""What is lost and what is odd, in lines on stderr, where no status line shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edgestream.events import Event, Gap, Lag, Notice
from edgestream.sources.picture import Picture, Waiting
from edgestream.system.process import tell


class Troubles:
    """A line for each Gap, each Lag and each Notice. A source that is waited for gives two:

    41.0 s: camera lost, reconnecting
    53.2 s: back; 12.2 s were lost

    `say` takes the lines; stderr does if it is not given.
    """

    def __init__(self, say: Callable[[str], None] = tell) -> None:
        self._say = say
        self._waiting = False
        self._ended: Gap | None = None  # of a wait, of which the next picture says how it ended

    def push(self, events: Iterable[Event], newest: object) -> None:
        """Tells the events; `newest` is what the source gave last."""
        for event in events:
            if isinstance(event, Gap) and self._waiting:
                self._ended = event
            elif isinstance(event, Gap):
                self._say_lost(event)
            elif isinstance(event, Notice):
                self._say(f"{event.time_ms / 1000:.1f} s: {event.text}")
            elif isinstance(event, Lag):
                self._say(f"{event.behind_ms / 1000:.1f} s behind: {event.action}")
        if isinstance(newest, Waiting):
            self._waiting = True
        elif isinstance(newest, Picture):
            self._waiting = False
            if gap := self._ended:
                lost_s = (gap.end_ms - gap.start_ms) / 1000
                self._say(f"{gap.end_ms / 1000:.1f} s: back; {lost_s:.1f} s were lost")
                self._ended = None

    def finish(self) -> None:
        """The end: what was waited for did not come back."""
        if self._ended:
            self._say_lost(self._ended)

    def _say_lost(self, gap: Gap) -> None:
        start_s, end_s = gap.start_ms / 1000, gap.end_ms / 1000
        self._say(f"lost: {start_s:.1f} s to {end_s:.1f} s, {gap.reason}")
