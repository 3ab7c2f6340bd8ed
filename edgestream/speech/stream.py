# SPDX-License-Identifier: Apache-2.0
"""A stream of sound through a model of any family: push samples, get events."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from edgestream.captions.clock import Clock
from edgestream.errors import UsageError
from edgestream.events import Event, Gap, Notice
from edgestream.sources.block import Block, Samples, whole_rate
from edgestream.sources.channels import limited
from edgestream.sources.resample import Resampler
from edgestream.system.checks import whole
from edgestream.system.native_work import native_work
from edgestream.system.one_process import OneProcess

# Silence behind the end so that the last word, which comes after the delay and may have many
# tokens, is written; and into a gap, so that what was said before it is written in time.
SETTLE_MS = 1000.0
PIECE_MS = 1000.0  # that is computed at once, of a push of more
MAX_LOST_SAMPLES = 1 << 48  # eleven years at the highest rate; beyond, times lose their precision


class Stages(Protocol):
    """One family's stages in a row."""

    def reset(self) -> None:
        """Back to an empty stream."""

    def push(self, samples: Samples) -> list[Event]:
        """Samples [n] at the model's rate to the events that they make."""

    def finish(self, silence: Samples) -> list[Event]:
        """Writes what is held, with `silence` behind it if that is needed, and closes the line."""

    def close_line(self) -> list[Event]:
        """The line that is still open, if any."""


def checked_block(samples: ArrayLike, lost_samples: int, reason: str, rate_hz: int | None) -> Block:
    """What a program pushes, once it is known to be sound; UsageError as of `Stream.push`."""
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
    rate_hz = None if rate_hz is None else whole_rate(rate_hz, "stream")
    with np.errstate(over="ignore"):  # of float64; what is no float32 is infinite now
        heard = limited(np.ascontiguousarray(given, np.float32))
    return Block(heard, n_lost, reason, rate_hz=rate_hz)


def stream_options(stream: Callable[..., Stream]) -> tuple[str, ...]:
    """What a model's `stream` can be told beside the rate of its samples."""
    return tuple(n for n in inspect.signature(stream).parameters if n not in ("self", "rate_hz"))


class Stream(OneProcess):
    """One stream of audio through a model: push samples, get events.

    Any cutting of the samples gives the same events. One thread at a time (a second one waits);
    streams of one model may run in different threads. `stages` are what computes, for those who
    measure it; they hear samples at `model_hz`, and this is where all others become such.
    """

    def __init__(
        self, stages: Stages, clock: Clock, *, rate_hz: int, model_hz: int, delay_ms: float
    ) -> None:
        self.stages = stages
        self._clock = clock
        self._busy = threading.Lock()  # the stages compute without the interpreter's lock
        self._resampler = Resampler(rate_hz, model_hz)
        self.rate_hz = self._resampler.in_hz
        self.delay_ms = delay_ms
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream; its clock starts at 0 again."""
        with self._busy, native_work():
            self.stages.reset()
            self._clock.reset()
            self._resampler.reset()
            self._resampler.change_rate(self.rate_hz)
            self._before_ms = 0.0  # what came at other rates than this one
            self._fed_samples = 0  # since then, silence put into gaps included
            self._finished = False

    def at_rate(self, rate_hz: int) -> Stream:
        """The same stream, empty, for samples at another rate.

        Raises UsageError if `rate_hz` is none.
        """
        self._resampler = Resampler(rate_hz, self._resampler.out_hz)
        self.rate_hz = self._resampler.in_hz
        self.reset()
        return self

    @property
    def heard_ms(self) -> float:
        """Source time up to which input was taken or lost."""
        return self._clock.source_ms(self._fed_ms)

    def push(
        self,
        samples: ArrayLike,
        *,
        lost_samples: int = 0,
        reason: str = "",
        rate_hz: int | None = None,
    ) -> list[Event]:
        """Takes float32 mono samples [n] in [-1, 1], n >= 0, at `rate_hz`; at the stream's if None.

        `lost_samples` were lost just before them: a Gap with `reason` is reported. Samples that
        are no numbers are heard as silence, and others are limited to that range.

        Raises:
            UsageError: samples are no floats or not one-dimensional, `lost_samples` is no count,
                `rate_hz` is none, or the stream is finished.
        """
        self.expect_here()
        block = checked_block(samples, lost_samples, reason, rate_hz)
        with self._busy:
            if self._finished:
                raise UsageError("stream: already finished; call reset() to start a new one")
            events = self._change_rate(block.rate_hz or self.rate_hz)
            events += self._lose(block.lost_samples, reason) if block.lost_samples else []
            return events + self._feed(block.samples)

    def take(self, block: Block) -> list[Event]:
        """What a source gives: samples, and how many were lost before them."""
        events = self.push(
            block.samples,
            lost_samples=block.lost_samples,
            reason=block.reason,
            rate_hz=block.rate_hz,
        )
        return [*events, Notice(self.heard_ms, block.notice)] if block.notice else events

    def finish(self) -> list[Event]:
        """Ends the input: writes what is still held and closes the open line."""
        self.expect_here()
        with self._busy, native_work():
            if self._finished:
                return []
            self._finished = True
            events = self.stages.push(self._resampler.finish())
            settle_ms = self.delay_ms + SETTLE_MS
            silence = np.zeros(round(settle_ms * self._resampler.out_hz / 1000), np.float32)
            return events + self.stages.finish(silence)

    def _change_rate(self, rate_hz: int) -> list[Event]:
        """What came at the rate before is all heard first."""
        if rate_hz == self._resampler.in_hz:
            return []
        before_ms = self._fed_ms
        with native_work():
            rest = self._resampler.change_rate(rate_hz)
            self._before_ms, self._fed_samples = before_ms, 0
            return self.stages.push(rest)

    def _feed(self, samples: Samples) -> list[Event]:
        """In pieces, so that neither a fork nor the program's end waits for more than one."""
        events: list[Event] = []
        piece = round(self._resampler.in_hz * PIECE_MS / 1000)
        for at in range(0, len(samples), piece):
            with native_work():
                part = samples[at : at + piece]
                self._fed_samples += len(part)
                events += self.stages.push(self._resampler.push(part))
        return events

    def _lose(self, lost_samples: int, reason: str) -> list[Event]:
        """Hears silence for the start of a gap and lets the clock run over the rest."""
        rate_hz = self._resampler.in_hz
        start_ms, lost_ms = self.heard_ms, 1000 * lost_samples / rate_hz
        silent = min(lost_samples, round((self.delay_ms + SETTLE_MS) * rate_hz / 1000))
        events = self._feed(np.zeros(silent, np.float32))
        if lost_samples > silent:
            with native_work():
                events += self.stages.close_line()  # no line runs on over what was not heard
            self._clock.forget_before(self._fed_ms)  # what came before is written
            self._clock.skip(self._fed_ms, 1000 * (lost_samples - silent) / rate_hz)
        return [Gap(start_ms, start_ms + lost_ms, reason), *events]

    @property
    def _fed_ms(self) -> float:
        return self._before_ms + 1000 * self._fed_samples / self._resampler.in_hz
