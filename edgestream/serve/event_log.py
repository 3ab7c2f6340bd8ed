# SPDX-License-Identifier: Apache-2.0
"""The events of a session with numbers, kept until the client has them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable

from edgestream.events import Draft, Event


class EventLog:
    """Numbered from 1. Belongs to one event loop.

    Of drafts only the newest is kept, and not once a final replaced it: nobody who comes late is
    told what is no longer so.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._kept: OrderedDict[int, Event] = OrderedDict()
        self._draft_seq = 0  # of the draft that is kept
        self._forgotten = 0  # the newest number that was lost for want of room
        self.newest = 0
        self.complete = False  # nothing more will come
        self.news = asyncio.Event()  # is set, and another one made, when something comes

    def push(self, events: Iterable[Event]) -> None:
        """The next events."""
        for event in events:
            self._kept.pop(self._draft_seq, None)
            self.newest += 1
            self._kept[self.newest] = event
            self._draft_seq = self.newest if isinstance(event, Draft) else 0
        while len(self._kept) > self._n_kept:
            self._forgotten, _ = self._kept.popitem(last=False)
        self._wake()

    def finish(self) -> None:
        """No more will come; whoever reads gets to the end."""
        self.complete = True
        self._wake()

    def acknowledge(self, seq: int) -> None:
        """The client has all up to here."""
        while self._kept and next(iter(self._kept)) <= seq:
            self._kept.popitem(last=False)

    def has_all_after(self, seq: int) -> bool:
        """Whether a client that has all up to `seq` can be told the rest."""
        return self._forgotten <= seq <= self.newest

    def after(self, seq: int, n_most: int | None = None) -> list[tuple[int, Event]]:
        """What is kept of the events behind `seq`, of these the newest `n_most`."""
        found: list[tuple[int, Event]] = []
        for number in reversed(self._kept):
            if number <= seq or (n_most is not None and len(found) >= n_most):
                break
            found.append((number, self._kept[number]))
        return found[::-1]

    async def follow(self, seq: int) -> AsyncIterator[tuple[int, Event]]:
        """All events behind `seq` as they come, until the log is complete.

        Ends early, without a word, if events were forgotten that this reader had not got yet:
        `has_all_after` tells.
        """
        while self.has_all_after(seq):
            news = self.news
            for number, event in self.after(seq):
                seq = number
                yield number, event
            if news is self.news:  # nothing came meanwhile
                if self.complete:
                    return
                await news.wait()

    def _wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()
