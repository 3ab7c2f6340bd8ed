# SPDX-License-Identifier: Apache-2.0
"""A stream that a program pushes into from its threads or tasks; it computes on its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from itertools import chain
from types import TracebackType

from numpy.typing import ArrayLike

from edgestream.errors import UsageError
from edgestream.events import Event
from edgestream.sources.block import Block
from edgestream.speech.callbacks import Callbacks
from edgestream.speech.stream import PIECE_MS, Stream, checked_block
from edgestream.speech.worker import Worker
from edgestream.system.one_process import OneProcess

MAX_WAITING_MS = 10_000.0  # of sound that is not computed yet; pushes wait for room
MAX_UNREAD = 10_000  # events, half an hour of speech; nobody seems to read them


class OpenStream(OneProcess):
    """Enter it once: `with` gives a ThreadedStream, `async with` an AsyncStream."""

    def __init__(self, stream: Stream, callbacks: Callbacks) -> None:
        self._worker = Worker(stream, callbacks)
        self._face: ThreadedStream | AsyncStream | None = None

    @property
    def waiting_ms(self) -> float:
        """Sound that was pushed and is not computed yet."""
        return self._worker.waiting_ms

    def __enter__(self) -> ThreadedStream:
        self._expect_new()
        self._face = face = ThreadedStream(self._worker)
        return face

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        assert isinstance(self._face, ThreadedStream)
        self._face.leave(finish=kind is None)

    async def __aenter__(self) -> AsyncStream:
        self._expect_new()
        self._face = face = AsyncStream(self._worker)
        return face

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        assert isinstance(self._face, AsyncStream)
        await self._face.leave(finish=kind is None)

    def _expect_new(self) -> None:
        self.expect_here()
        if self._face is not None:
            raise UsageError("stream: entered already; open another one")


class _Face(OneProcess):
    """What both ways to push and to read share."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    @property
    def waiting_ms(self) -> float:
        """Sound that was pushed and is not computed yet."""
        return self._worker.waiting_ms

    def finish(self) -> None:
        """No more sound comes. Waits for nothing; iteration goes on to the last event."""
        self.expect_here()
        self._worker.give(None)

    def _pieces(
        self, samples: ArrayLike, lost_samples: int, reason: str, rate_hz: int | None
    ) -> Iterator[Block]:
        """The samples, copied and cut; all is checked before the first is taken."""
        self.expect_here()
        if self._worker.is_inside:
            raise UsageError("stream: pushed into by its own callback; use another thread")
        if len(self._worker.unread) > MAX_UNREAD:
            raise UsageError(
                f"stream: {MAX_UNREAD} events were not read; iterate over it, or give callbacks"
            )
        block = checked_block(samples, lost_samples, reason, rate_hz)
        size = round((rate_hz or self._worker.stream.rate_hz) * PIECE_MS / 1000)
        rest = block.samples[size:]
        first = Block(block.samples[:size], block.lost_samples, reason, rate_hz=rate_hz)
        cuts = range(0, len(rest), size)
        return chain([first], (Block(rest[at : at + size], rate_hz=rate_hz) for at in cuts))

    def _has_room(self) -> bool:
        return self._worker.over or self._worker.waiting_ms + PIECE_MS <= MAX_WAITING_MS

    def _can_leave(self) -> bool:
        return self._worker.over and self._worker.idle

    def _is_readable(self) -> bool:
        return bool(self._worker.unread) or self._worker.over

    def _next(self, end: type[Exception]) -> Event:
        """The next event; behind the last one raises what ended the stream, or `end`."""
        with self._worker.changed:
            if self._worker.unread:
                return self._worker.unread.popleft()
            raise self._worker.error or end

    def _expect_readable(self) -> None:
        self.expect_here()
        if self._worker.callbacks.any_event:
            raise UsageError("stream: its events go to callbacks; leave these out to iterate")


class ThreadedStream(_Face):
    """For threads. Any may push, finish and iterate; each event goes to one of those that do."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._pushing = threading.Lock()  # what one thread pushes stays together

    def push(
        self,
        samples: ArrayLike,
        *,
        lost_samples: int = 0,
        reason: str = "",
        rate_hz: int | None = None,
    ) -> None:
        """As `Stream.push`, but the events come elsewhere; waits while MAX_WAITING_MS wait.

        Raises:
            UsageError: as `Stream.push`; nobody reads the events; a callback pushes.
            Exception: what ended the stream, as a callback raised it.
        """
        pieces = self._pieces(samples, lost_samples, reason, rate_hz)
        with self._pushing:
            for piece in pieces:
                self._wait_for(self._has_room)
                self._worker.give(piece)

    def __iter__(self) -> Iterator[Event]:
        self._expect_readable()
        return self

    def __next__(self) -> Event:
        with self._worker.changed:
            self._worker.changed.wait_for(self._is_readable)
            return self._next(StopIteration)

    def leave(self, *, finish: bool) -> None:
        """At the end of the block. To finish: all that was pushed is heard, and told.

        Raises UsageError in the stream's own callback, and ends it.
        """
        if not self.is_here:
            return  # a child that was forked inside the block
        if self._worker.is_inside:
            self._worker.cancel()
            raise UsageError(
                "stream: left in its own callback, which it would wait for; call finish() there,"
                " and leave it on another thread"
            )
        try:
            if finish:
                self._worker.give(None)
                self._wait_for(lambda: self._worker.over)
            else:
                self._worker.cancel()
        except BaseException:
            self._worker.cancel()
            raise
        finally:
            self._wait_for(self._can_leave)
        if finish and self._worker.error:
            raise self._worker.error

    def _wait_for(self, ready: Callable[[], bool]) -> None:
        with self._worker.changed:
            self._worker.changed.wait_for(ready)


class AsyncStream(_Face):
    """For the tasks of one event loop. Each event goes to one of those that iterate."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self._loop = asyncio.get_running_loop()
        self._pushing = asyncio.Lock()
        self._waiters: set[asyncio.Future[None]] = set()
        worker.on_change = self._on_change

    async def push(
        self,
        samples: ArrayLike,
        *,
        lost_samples: int = 0,
        reason: str = "",
        rate_hz: int | None = None,
    ) -> None:
        """As `ThreadedStream.push`. Cancelled while it waits, it leaves out what is not taken yet:
        of a push of a second or less, all."""
        pieces = self._pieces(samples, lost_samples, reason, rate_hz)
        async with self._pushing:
            for piece in pieces:
                await self._wait_for(self._has_room)
                self._worker.give(piece)

    def __aiter__(self) -> AsyncIterator[Event]:
        self._expect_readable()
        return self

    async def __anext__(self) -> Event:
        await self._wait_for(self._is_readable)
        return self._next(StopAsyncIteration)

    async def leave(self, *, finish: bool) -> None:
        """As of a ThreadedStream; cancelled, it drops what waits."""
        if not self.is_here:
            return
        try:
            if finish:
                self._worker.give(None)
                await self._wait_for(lambda: self._worker.over)
            else:
                self._worker.cancel()
        except BaseException:
            self._worker.cancel()
            raise
        finally:
            await self._wait_for(self._can_leave)
        if finish and self._worker.error:
            raise self._worker.error

    async def _wait_for(self, ready: Callable[[], bool]) -> None:
        while not ready():
            waiter = self._loop.create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def _on_change(self) -> None:
        """On the thread that computes."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
