# SPDX-License-Identifier: Apache-2.0
"""One client's stream: sound goes in on the event loop, steps are done by the scheduler's threads,
events come out on the event loop with numbers."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from edgestream.errors import EdgestreamError, UsageError
from edgestream.events import Event
from edgestream.serve.cost import Cost
from edgestream.serve.event_log import EventLog
from edgestream.serve.limits import Limits
from edgestream.serve.refusal import RefusalError
from edgestream.serve.scheduler import Scheduler
from edgestream.serve.waiting import Waiting, weight
from edgestream.session import Meter
from edgestream.sources.block import Block, Samples
from edgestream.speech.stream import Stream

STEP_MS = 100  # of sound that a step takes at most: no session waits long for another's
logger = logging.getLogger("edgestream.serve")


class ServedSession:
    """A stream of a model for one client. What is not said otherwise belongs to the event loop.

    `push` and `finish` are the client's sound, `events` what it is told. A stage that fails ends
    this session alone: `failure` says why, and `events` ends.
    """

    def __init__(
        self,
        open_stream: Callable[[Callable[[], float]], Stream],
        loop: asyncio.AbstractEventLoop,
        *,
        scheduler: Scheduler,
        limits: Limits,
        live: bool,
        model_name: str,
        on_end: Callable[[ServedSession], None],
        keep: Callable[[list[Event]], None] = lambda events: None,
        keep_no_more: Callable[[], None] = lambda: None,
        replica: str = "",
    ) -> None:
        """`open_stream` is given a function that tells how much sound waits, in milliseconds.

        `on_end` is given the session at its end. `keep` is given all events, on a thread of the
        scheduler; `keep_no_more` is called once, on any thread, behind the last of them.
        The id ends in a dot and the name of the `replica`, where there are several.
        """
        self.id = secrets.token_urlsafe(24) + (f".{replica}" if replica else "")
        self.live = live
        self.resumable = False  # its client can begin anew with another server, and loses nothing
        self.model_name = model_name
        self.stream = open_stream(lambda: self.behind_ms)  # let go of at the end: it is large
        self.rate_hz, self.delay_ms = self.stream.rate_hz, self.stream.delay_ms
        self.log = EventLog(limits.kept_events)
        self.meter = Meter()
        self.cost = Cost()
        self.failure: RefusalError | None = None
        self.memo: object = None  # what its protocol remembers of it
        self._scheduler, self._limits = scheduler, limits
        self._on_end, self._keep, self._keep_no_more = on_end, keep, keep_no_more
        self._loop = loop
        self._lock = threading.Lock()  # of the five below
        self._waiting: deque[Waiting] = deque()
        self._n_waiting = self._weight = 0  # samples; and what they weigh
        self._queued = False  # the scheduler has this session
        self._stepping = False  # on one of its threads
        self._room = asyncio.Event()
        self._room.set()
        self._finished = self._closed = self._draining = False
        self._pushing = asyncio.Lock()  # what is pushed at once is in one piece
        self._before_ms = 0.0  # heard before the stream began anew

    @property
    def behind_ms(self) -> float:
        """Sound that waits to be computed."""
        return 1000.0 * self._n_waiting / self.rate_hz

    @property
    def late_ms(self) -> float:
        """How long the oldest of it has waited: little, where somebody sent much at once."""
        with self._lock:
            since_s = self._waiting[0].since_s if self._waiting else math.inf
        return 1000.0 * max(0.0, time.monotonic() - since_s)

    @property
    def heard_ms(self) -> float:
        """Sound that was computed, or lost."""
        return self.meter.heard_ms

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self.log.complete

    async def push(
        self,
        samples: Samples,
        *,
        lost_samples: int = 0,
        reason: str = "",
        rate_hz: int | None = None,
    ) -> None:
        """Takes float32 mono samples [n], at the stream's rate if `rate_hz` is None; waits while
        too much waits to be computed.

        Raises:
            UsageError: the session was finished.
            RefusalError: it has failed or was closed.
        """
        n_step = max(1, self.rate_hz * STEP_MS // 1000)
        async with self._pushing:
            self._check_open()
            for at in range(0, max(1, len(samples)), n_step):
                block = Block(samples[at : at + n_step], lost_samples, reason, rate_hz=rate_hz)
                lost_samples = 0
                await self._room.wait()
                self._check_open()
                heavy = weight(block, self.rate_hz, self.delay_ms)
                self._put(Waiting(time.monotonic(), block, heavy))

    async def restart(self) -> None:
        """What was said so far is made final, and the stream begins anew at 0; waits for it."""
        self._check_open()
        done = self._loop.create_future()
        self._put(Waiting(time.monotonic(), None, again=True, done=done))
        await done
        self._check_open()

    def finish(self) -> None:
        """No more sound: the last words come, and then `events` ends. May be repeated."""
        if not self._finished and not self._closed:
            self._finished = True
            self._put(Waiting(time.monotonic(), None))

    async def drain(self) -> None:
        """The server ends: what is being pushed is taken whole, and nothing after it."""
        async with self._pushing:
            self._draining = not self._finished
            self.finish()

    async def events(self, after: int = 0) -> AsyncIterator[tuple[int, Event]]:
        """Numbers and events, of those that follow `after`, until the end.

        Raises RefusalError: the session failed, or forgot events that the reader was too slow for.
        """
        async for seq, event in self.log.follow(after):
            after = seq
            yield seq, event
        if self.failure is not None:
            raise self.failure
        if not self.log.has_all_after(after):
            raise RefusalError("slow-reader", "too many lines wait for you; read faster")

    def close(self, failure: RefusalError | None = None) -> None:
        """Ends it at once; what waits is dropped. May be repeated."""
        if self._closed:
            return
        self.failure = self.failure or failure
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._n_waiting = self._weight = 0
            stepping = self._stepping
        if not stepping:
            self._let_go()
        for item in waiting:
            _tell(item.done)
        self._room.set()
        self.log.finish()
        self._on_end(self)

    def step(self) -> float | None:
        """Computes what waits longest; on a thread of the scheduler."""
        with self._lock:
            if not self._waiting:  # it was closed meanwhile
                self._queued = False
                return None
            item, self._stepping = self._waiting[0], True
        start_s = time.perf_counter()
        try:
            self._report(self._compute(item), item)
        except BaseException as error:  # whatever it is, it harms this session alone
            self._call(self.close, _failure(error))
        took_s = time.perf_counter() - start_s
        self.meter.compute_ms += 1000 * took_s
        self.cost.add(time.monotonic(), took_s)
        return self._step_done(item)

    def _step_done(self, item: Waiting) -> float | None:
        """Since when the next step waits."""
        with self._lock:
            self._stepping = False
            if self._waiting and self._waiting[0] is item:
                self._waiting.popleft()
                self._n_waiting -= item.samples
                self._weight -= item.weight
            self._queued = bool(self._waiting)
            closed = self._closed
            since_s = self._waiting[0].since_s if self._waiting else None
        if closed:
            self._let_go()
        self._call(self._made_room)
        return since_s

    def _let_go(self) -> None:
        """It is closed, and no step is being done: nothing more comes of the stream."""
        del self.stream
        self._keep_no_more()

    def _compute(self, item: Waiting) -> list[Event]:
        if item.block is not None:
            events = self.stream.take(item.block)
            self.meter.see(item.block)
        else:
            events = self.stream.finish()
        self.meter.count(events)
        self.meter.heard_ms = self._before_ms + self.stream.heard_ms
        if item.again:
            self._before_ms = self.meter.heard_ms
            self.stream.reset()
        return events

    def _report(self, events: list[Event], item: Waiting) -> None:
        if events:
            self._keep(events)
            self._call(self.log.push, events)
        if item.done is not None:
            self._call(_tell, item.done)
        if item.block is None and not item.again:
            self._call(self.close)

    def _put(self, item: Waiting) -> None:
        with self._lock:
            self._waiting.append(item)
            self._n_waiting += item.samples
            self._weight += item.weight
            idle, self._queued = not self._queued, True
        if self._is_full:
            self._room.clear()
        if idle:
            self._scheduler.put(self, item.since_s)

    def _made_room(self) -> None:
        if self._closed or not self._is_full:
            self._room.set()

    @property
    def _is_full(self) -> bool:
        return self._weight >= self._limits.waiting_s * self.rate_hz

    def _check_open(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self._draining:
            raise RefusalError("shutting-down", "the server is ending; go on elsewhere")
        if self._finished or self._closed:
            raise UsageError("this session has ended; open a new one")

    def _call(self, what: Callable[..., None], *given: object) -> None:
        """On the event loop, unless that has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *given)


def seen(task: asyncio.Future[None]) -> None:
    """For a task that may fail after its connection has ended: nobody is left to be told."""
    if not task.cancelled():
        task.exception()


def _tell(done: asyncio.Future[None] | None) -> None:
    if done is not None and not done.done():
        done.set_result(None)


def _failure(error: BaseException) -> RefusalError:
    if isinstance(error, EdgestreamError):
        return RefusalError("failed", str(error))
    logger.error("a session failed", exc_info=error)
    return RefusalError("failed", "this session failed by a fault of the server; open a new one")
