# SPDX-License-Identifier: Apache-2.0
"""One stream on a thread of its own: pieces of sound in, events out, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from edgestream.errors import UsageError
from edgestream.events import Event
from edgestream.sources.block import Block
from edgestream.speech.callbacks import Callbacks
from edgestream.speech.stream import Stream

LEAST_MS = 1.0  # that a piece counts as waiting, so that empty ones are bounded too


class Worker:
    """Computes what it is given, one piece after the other.

    All is guarded by `changed`, which is notified after each piece; `on_change` is called then too,
    on the thread that computes. `error` is what ended the stream, if anything did.
    """

    def __init__(self, stream: Stream, callbacks: Callbacks) -> None:
        self.stream = stream
        self.callbacks = callbacks
        self.changed = threading.Condition()
        self.on_change: Callable[[], None] = _nothing
        self.waiting_ms = 0.0  # sound that is not computed yet
        self.unread: deque[Event] = deque()  # without callbacks
        self.error: BaseException | None = None
        self.is_deaf = False  # pushes are dropped: on_error knows, or the program ends
        self.ended = False  # the input: nothing more is taken
        self.over = False  # the events: nothing more comes
        self.idle = True
        self._pieces: deque[Block | None] = deque()  # None is the end
        self._pool = ThreadPoolExecutor(1, "edgestream-stream")
        self._thread = 0  # its identity, while a piece is computed

    def give(self, block: Block | None) -> None:
        """A piece, or None behind the last.

        Raises what ended the stream; UsageError if it was finished or left.
        """
        with self.changed:
            if self.error:
                raise self.error
            if self.is_deaf or (self.ended and block is None):
                return
            if self.ended:
                raise UsageError("stream: already finished; open another one")
            self.ended = block is None
            self._pieces.append(block)
            self.waiting_ms += self._weight_ms(block)
            if self.idle:
                self.idle = False
                self._go_on()

    def cancel(self) -> None:
        """Drops what waits; of the piece that is being computed nothing more is told."""
        with self.changed:
            self._drop()
            self.changed.notify_all()
        self.on_change()

    @property
    def is_inside(self) -> bool:
        """Whether this is the worker's own thread, as in a callback."""
        return self._thread == threading.get_ident()

    def _weight_ms(self, block: Block | None) -> float:
        if block is None:
            return 0.0
        return max(LEAST_MS, 1000 * len(block.samples) / (block.rate_hz or self.stream.rate_hz))

    def _go_on(self) -> None:
        try:
            self._pool.submit(self._step)
        except RuntimeError:  # the interpreter ends
            self._drop()
            self.idle = self.is_deaf = True

    def _drop(self) -> None:
        self._pieces.clear()
        self.waiting_ms = 0.0
        self.ended = self.over = True
        self._pool.shutdown(wait=False)

    def _step(self) -> None:
        """Computes a piece, tells of it, and sees to it that the next one is computed."""
        with self.changed:
            block = self._pieces.popleft() if self._pieces else None
            dropped = self.over
        self._thread = threading.get_ident()
        try:
            if not dropped:
                self._tell(self.stream.finish() if block is None else self.stream.take(block))
        except BaseException as error:
            self._fail(error)
        finally:
            self._thread = 0
            with self.changed:
                self._count(block)
                self.changed.notify_all()
            self.on_change()

    def _count(self, block: Block | None) -> None:
        """What a piece leaves behind it."""
        self.over |= block is None
        if self.over:
            self._drop()
        else:
            self.waiting_ms = max(0.0, self.waiting_ms - self._weight_ms(block))
        if self._pieces:
            self._go_on()
        else:
            self.idle = True

    def _tell(self, events: list[Event]) -> None:
        if not self.callbacks.any_event:
            with self.changed:
                self.unread.extend(() if self.over else events)
            return
        for event in events:
            if self.over:
                return
            self.callbacks.tell(event)

    def _fail(self, error: BaseException) -> None:
        """The stream ends; `on_error` takes the error, or whoever pushes next, iterates, leaves."""
        try:
            if self.callbacks.on_error is not None:
                self.callbacks.on_error(error)
                self.is_deaf = True
        except BaseException as again:
            error = again
        with self.changed:
            self.error = None if self.is_deaf else error
            self._drop()


def _nothing() -> None:
    pass
