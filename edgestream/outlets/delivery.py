# SPDX-License-Identifier: Apache-2.0
"""Comments handed on to a command or to a server, on a thread of its own: nothing waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from edgestream.events import Comment, Event
from edgestream.outlets.records import json_line
from edgestream.system.process import tell

MAX_WAITING = 100  # comments; where there are more the oldest are dropped
MIN_INTERVAL_S = 0.2  # from one call to the next: five a second
QUIET_WAIT_S = 1.0  # at the end, before somebody asks why it does not end
END_WAIT_S = 20.0  # for what waits when the input ends: as long as a full queue takes


class Receiver(Protocol):
    """What takes one comment after the other."""

    name: str  # as messages call it

    def call(self, record: str) -> str:
        """Hands over one JSON object, within a time limit; what went wrong, or nothing."""
        ...

    def stop(self) -> None:
        """Ends a call that is under way, from another thread."""
        ...


class Delivery:
    """Gives each Comment to a receiver, one at a time and five a second at most.

    The newest MAX_WAITING wait. The first failure is told on stderr, and the first success after
    it; `finish` tells how many comments did not arrive.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._waiting: deque[Comment] = deque()
        self._changed = threading.Condition()
        self._ending = self._ended = False
        self._n_comments = self._n_delivered = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def push(self, events: Iterable[Event], newest: object = None) -> None:
        """Queues the comments among the events."""
        comments = [event for event in events if isinstance(event, Comment)]
        if not comments:
            return
        with self._changed:
            self._n_comments += len(comments)
            self._waiting += comments
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
            self._changed.notify()

    def finish(self) -> None:
        """Waits, but not for ever, until what was queued is delivered; may be repeated."""
        with self._changed:
            if self._ending:
                return
            self._ending = True
            self._changed.notify()
        try:
            self._thread.join(QUIET_WAIT_S)
            if self._thread.is_alive():
                tell(f"{self._receiver.name}: comments wait to be handed on; Ctrl-C ends that")
                self._thread.join(END_WAIT_S)
        finally:  # by Ctrl-C too
            with self._changed:
                self._ended = True
                self._waiting.clear()
            self._receiver.stop()
        if n_lost := self._n_comments - self._n_delivered:
            tell(f"{self._receiver.name}: {n_lost} of {self._n_comments} comments did not arrive")

    def _run(self) -> None:
        while comment := self._next():
            begun_s = time.monotonic()
            trouble = self._receiver.call(json_line(comment))
            if self._ended:  # and counted
                return
            self._n_delivered += not trouble
            if bool(trouble) != self._failing:
                self._failing = bool(trouble)
                tell(f"{self._receiver.name}: {trouble or 'works again'}")
            self._pause(begun_s + MIN_INTERVAL_S)

    def _next(self) -> Comment | None:
        """The oldest comment that waits, waited for; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending)
            return self._waiting.popleft() if self._waiting else None

    def _pause(self, until_s: float) -> None:
        if (wait_s := until_s - time.monotonic()) > 0:
            time.sleep(wait_s)
