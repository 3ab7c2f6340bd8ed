# SPDX-License-Identifier: Apache-2.0
"""Who writes the answers: the reader itself, or a thread beside it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from edgestream.events import Event

T = TypeVar("T")


@dataclass(slots=True)
class _Writing:
    written: Future[Any]
    take: Callable[[Any], list[Event]]


class Writer:
    """Answers one after the other, in order.

    `beside`: on a thread, so that reading goes on: for live sources. Otherwise each answer is
    waited for: what is written then does not hang on the machine's speed.
    """

    def __init__(self, *, beside: bool) -> None:
        self._pool = ThreadPoolExecutor(1, "edgestream-writer") if beside else None
        self._waiting: deque[_Writing] = deque()
        self._changing = threading.Lock()  # of `waiting`, which what is written may look at

    def submit(self, write: Callable[[], T], take: Callable[[T], list[Event]]) -> list[Event]:
        """`take` is given what `write` wrote, on the thread that calls `done`; the events that came
        at once."""
        if self._pool is None:
            return take(write())
        with self._changing:
            self._waiting.append(_Writing(self._pool.submit(write), take))
        return []

    @property
    def n_waiting(self) -> int:
        """Answers that are not whole; for any thread."""
        with self._changing:
            return sum(not each.written.done() for each in self._waiting)

    def done(self) -> list[Event]:
        """The events of the answers that are whole by now."""
        events: list[Event] = []
        while self._waiting and self._waiting[0].written.done():
            with self._changing:
                each = self._waiting.popleft()
            events += each.take(each.written.result())
        return events

    def finish(self) -> list[Event]:
        """The events of all; waits for them."""
        events: list[Event] = []
        while self._waiting:
            self._waiting[0].written.exception()  # waits
            events += self.done()
        return events

    def close(self) -> None:
        """Lets go of the thread; what has not begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
