# SPDX-License-Identifier: Apache-2.0
"""The spine: a session feeds a stream from a source, and counts what that costs."""

from __future__ import annotations

import asyncio
import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from edgestream.events import Event, Final, Gap, Lag
from edgestream.sources.block import Block
from edgestream.system.one_process import OneProcess

SILENCE_DBFS = -100.0  # the level of digital silence, instead of minus infinity


@dataclass(slots=True)
class Meter:
    """Running figures of one session."""

    heard_ms: float = 0.0  # input taken in
    compute_ms: float = 0.0  # time spent on it
    worst_behind_ms: float = 0.0  # largest distance to the source's clock
    lost_ms: float = 0.0  # input lost in gaps
    n_lines: int = 0  # lines made final
    n_words: int = 0  # words of them that have times of their own
    level_dbfs: float = SILENCE_DBFS  # RMS of the newest samples, if the source has any

    @property
    def real_time_factor(self) -> float:
        """Compute time per time of input; below 1 keeps up."""
        return self.compute_ms / self.heard_ms if self.heard_ms else 0.0

    def see(self, item: object) -> None:
        """What the source gave: the level of a block of samples."""
        if isinstance(item, Block) and len(item.samples):
            power = float(np.mean(np.square(item.samples, dtype=np.float64)))
            self.level_dbfs = max(SILENCE_DBFS, 10 * math.log10(power + 1e-30))

    def count(self, events: list[Event]) -> None:
        """What the stream said: lines, words, and what was lost."""
        finals = [event for event in events if isinstance(event, Final)]
        self.n_lines += len(finals)
        self.n_words += sum(len(final.words) for final in finals)
        gaps = [event for event in events if isinstance(event, Gap)]
        self.lost_ms += sum(gap.end_ms - gap.start_ms for gap in gaps)


class Input(Protocol):
    """What a session reads: of sound its blocks of samples, of a camera its pictures and gaps."""

    @property
    def behind_ms(self) -> float: ...

    def __iter__(self) -> Iterator[Any]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class Intake(Protocol):
    """What it feeds: a Stream of samples or a PictureStream."""

    @property
    def heard_ms(self) -> float: ...

    def take(self, item: Any) -> list[Event]: ...

    def finish(self) -> list[Event]: ...


InputT = TypeVar("InputT", bound=Input)
IntakeT = TypeVar("IntakeT", bound=Intake)


class Reading(OneProcess):
    """A source on its way through a stream, once; it knows no session, which may be let go of.

    In a process that was forked since, it ends without a word: the source is the parent's.
    """

    def __init__(self, source: Input, stream: Intake) -> None:
        self.source = source
        self.stream = stream
        self.meter = Meter()
        self.newest: Any = None

    def blocks(self) -> Generator[list[Event], None, None]:
        """The events of each piece of input; closes the source at the end."""
        try:
            for item in self.source:
                self.newest = item
                self.meter.see(item)
                start_s = time.perf_counter()
                events = self.stream.take(item)
                self.meter.compute_ms += 1000 * (time.perf_counter() - start_s)
                events = self._counted(events)
                self.meter.heard_ms = self.stream.heard_ms - self.meter.lost_ms
                yield events
            yield self._counted(self.stream.finish())
        finally:
            if self.is_here:
                self.source.close()

    def _counted(self, events: list[Event]) -> list[Event]:
        behind_ms = self.source.behind_ms
        self.meter.worst_behind_ms = max(self.meter.worst_behind_ms, behind_ms)
        self.meter.count(events)
        if any(isinstance(event, Gap) and event.reason == "overflow" for event in events):
            events.append(Lag(behind_ms, "dropped audio"))
        return events


class Iteration(ABC):
    """`for` and `async for` over the events of blocks.

    Iteration that was left, as by `break`, goes on where it was when it is begun again.
    """

    _pending: deque[Event]  # of the last block, not taken yet

    def __iter__(self) -> Iterator[Event]:
        while True:
            while self._pending:
                yield self._pending.popleft()
            events = next(self.blocks(), None)
            if events is None:
                return
            self._pending.extend(events)

    async def __aiter__(self) -> AsyncIterator[Event]:
        blocks = self.blocks()
        reading: asyncio.Future[list[Event] | None] | None = None
        try:
            while True:
                while self._pending:
                    yield self._pending.popleft()
                reading = asyncio.ensure_future(asyncio.to_thread(next, blocks, None))
                if (events := await asyncio.shield(reading)) is None:
                    break
                self._pending.extend(events)
        finally:
            self.stop()
            if reading is not None:  # a cancelled wait leaves its thread at work on a block
                await asyncio.wait([reading])
            await asyncio.to_thread(self.close)

    @abstractmethod
    def blocks(self) -> Generator[list[Event], None, None]:
        """The events of each piece of input as soon as it is read; often an empty list."""

    @abstractmethod
    def stop(self) -> None:
        """No more input is read; iteration goes on to the end of what was."""

    @abstractmethod
    def close(self) -> None:
        """Ends it: nothing more comes. May be repeated."""


class Session(OneProcess, Iteration, Generic[InputT, IntakeT]):
    """A source read to its end: iterate (`for` or `async for`) over its events.

    Iteration that was left, as by `break`, goes on where it was when it is begun again. `stop()`
    ends the input from any thread or signal handler, and the last words still come; `close()` ends
    all at once and lets go of the source, as the end and a session that nobody holds do too.
    """

    def __init__(self, source: InputT, stream: IntakeT) -> None:
        self.source = source
        self.stream = stream
        self.reading = self._begin()
        self.meter = self.reading.meter
        self._blocks = self.reading.blocks()
        self._pending = deque()

    def stop(self) -> None:
        """No more input is read; iteration goes on to the end of what was."""
        self.source.stop()

    def close(self) -> None:
        """Ends it: nothing more comes. May be repeated."""
        self._blocks.close()
        self._pending.clear()
        if self.is_here:
            self.source.close()

    def blocks(self) -> Generator[list[Event], None, None]:
        """The events of each piece of input as soon as it is read; often an empty list."""
        self.expect_here()
        return self._blocks

    @property
    def newest(self) -> Any:
        """What the source gave last."""
        return self.reading.newest

    def _begin(self) -> Reading:
        return Reading(self.source, self.stream)
