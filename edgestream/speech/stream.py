# SPDX-License-Identifier: Apache-2.0
"""A stream of sound through a model of any family: push samples, get events."""

from __future__ import annotations

import threading
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgestream.captions.clock import Clock
from edgestream.errors import UsageError
from edgestream.events import Event, Gap, Notice
from edgestream.sources.block import Block, whole_rate
from edgestream.system.checks import whole

# Silence behind the end so that the last word, which comes after the delay and may have many
# tokens, is written; and into a gap, so that what was said before it is written in time.
SETTLE_MS = 1000.0
MAX_LOST_SAMPLES = 1 << 48  # eleven years at the highest rate; beyond, times lose their precision


class Stages(Protocol):
    """One family's stages in a row."""

    def reset(self) -> None:
        """Back to an empty stream."""

    def push(self, samples: NDArray[np.float32]) -> list[Event]:
        """Samples [n] at the source's rate to the events that they make."""

    def finish(self, silence: NDArray[np.float32]) -> list[Event]:
        """Writes what is held, with `silence` behind it if that is needed, and closes the line."""

    def close_line(self) -> list[Event]:
        """The line that is still open, if any."""


class Stream:
    """One stream of audio through a model: push samples, get events.

    Any cutting of the samples gives the same events. One thread at a time (a second one waits);
    streams of one model may run in different threads. `stages` are what computes, for those who
    measure it.
    """

    def __init__(self, stages: Stages, clock: Clock, *, rate_hz: int, delay_ms: float) -> None:
        self.stages = stages
        self._clock = clock
        self._busy = threading.Lock()  # the stages compute without the interpreter's lock
        self.rate_hz = whole_rate(rate_hz, "stream")
        self.delay_ms = delay_ms
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream; its clock starts at 0 again."""
        with self._busy:
            self.stages.reset()
            self._clock.reset()
            self._fed_samples = 0  # through the stages, silence put into gaps included
            self._finished = False

    @property
    def heard_ms(self) -> float:
        """Source time up to which input was taken or lost."""
        return self._clock.source_ms(self._fed_ms)

    def push(self, samples: ArrayLike, *, lost_samples: int = 0, reason: str = "") -> list[Event]:
        """Takes float32 mono samples [n] in [-1, 1] at `rate_hz`, n >= 0.

        `lost_samples` were lost just before them: a Gap with `reason` is reported. Samples that
        are not finite are heard as silence, and others are limited to that range.

        Raises:
            UsageError: samples are no floats or not one-dimensional, `lost_samples` is no count, or
                the stream is finished.
        """
        n_lost = whole(lost_samples, "stream: lost_samples", 0, MAX_LOST_SAMPLES)
        if not isinstance(reason, str):
            raise UsageError(f"stream: the reason is {reason!r:.40}; pass a text")
        try:
            given = np.asarray(samples)
        except ValueError:  # lists of different lengths
            raise UsageError("stream: samples are no array; pass mono, shape (n,)") from None
        if given.dtype.kind != "f" and given.size:
            raise UsageError(
                f"stream: samples are {given.dtype}; pass floats from -1 to 1 (int16: / 32768)"
            )
        if given.ndim != 1:
            raise UsageError(f"stream: samples have shape {given.shape}; pass mono, shape (n,)")
        with np.errstate(over="ignore"):  # of float64; what is no float32 is infinite now
            block = np.ascontiguousarray(given, np.float32)
        if not np.isfinite(block).all():  # else the resampler would spread them
            block = np.where(np.isfinite(block), block, np.float32(0))
        block = np.clip(block, -1.0, 1.0)
        with self._busy:
            if self._finished:
                raise UsageError("stream: already finished; call reset() to start a new one")
            events = self._lose(n_lost, reason) if n_lost else []
            return events + self._feed(block)

    def take(self, block: Block) -> list[Event]:
        """What a source gives: samples, and how many were lost before them."""
        events = self.push(block.samples, lost_samples=block.lost_samples, reason=block.reason)
        return [*events, Notice(self.heard_ms, block.notice)] if block.notice else events

    def finish(self) -> list[Event]:
        """Ends the input: writes what is still held and closes the open line."""
        with self._busy:
            if self._finished:
                return []
            self._finished = True
            silence = np.zeros(self._samples(self.delay_ms + SETTLE_MS), np.float32)
            self._fed_samples += len(silence)
            return self.stages.finish(silence)

    def _feed(self, samples: NDArray[np.float32]) -> list[Event]:
        self._fed_samples += len(samples)
        return self.stages.push(samples)

    def _lose(self, lost_samples: int, reason: str) -> list[Event]:
        """Hears silence for the start of a gap and lets the clock run over the rest."""
        start_ms, lost_ms = self.heard_ms, 1000 * lost_samples / self.rate_hz
        silent = min(lost_samples, self._samples(self.delay_ms + SETTLE_MS))
        events = self._feed(np.zeros(silent, np.float32))
        if lost_samples > silent:
            events += self.stages.close_line()  # no line runs on over what was not heard
            self._clock.forget_before(self._fed_ms)  # what came before is written
            self._clock.skip(self._fed_ms, 1000 * (lost_samples - silent) / self.rate_hz)
        return [Gap(start_ms, start_ms + lost_ms, reason), *events]

    @property
    def _fed_ms(self) -> float:
        return 1000 * self._fed_samples / self.rate_hz

    def _samples(self, ms: float) -> int:
        return round(ms * self.rate_hz / 1000)
