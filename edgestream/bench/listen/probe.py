# SPDX-License-Identifier: Apache-2.0
"""Runs streams under measurement: time of each step and block, captions as shown, errors."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream._native import ConcatenatedLoop
from edgestream.bench.listen.reader import Reader, ShownWord
from edgestream.events import Event
from edgestream.scoring.clips import (
    RATE_HZ,
    Clip,
    SpokenWord,
    blocks,
    long_stream,
)
from edgestream.scoring.words import Score, matches
from edgestream.sources.block import Samples
from edgestream.speech.concatenated.stages import ConcatenatedStages
from edgestream.speech.stream import Stream

WARM_UP_MS = 12_000.0  # fills the decoder's window; step times count from here on


class TimedLoop:
    """A loop that notes the time of each of its steps, on the clock and on the processor."""

    def __init__(self, loop: ConcatenatedLoop) -> None:
        self._loop = loop
        self.end_input = loop.end_input
        self.reset = loop.reset
        self.step_ms: list[float] = []
        self.step_cpu_ms: list[float] = []

    @classmethod
    def around(cls, loop: ConcatenatedLoop | TimedLoop) -> TimedLoop:
        """A new one, also where the stream was measured before."""
        return cls(loop._loop if isinstance(loop, TimedLoop) else loop)

    def push(
        self, rows: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
        """As the loop's own; calls with one row are steps."""
        cpu_ns, start_ns = time.thread_time_ns(), time.perf_counter_ns()
        result = self._loop.push(rows)
        end_ns, cpu_end_ns = time.perf_counter_ns(), time.thread_time_ns()
        if len(rows) == 1:
            self.step_ms.append((end_ns - start_ns) / 1e6)
            self.step_cpu_ms.append((cpu_end_ns - cpu_ns) / 1e6)
        return result


def process_times_ms() -> tuple[float, float]:
    """Processor time of this process, and the clock."""
    return time.process_time_ns() / 1e6, time.perf_counter_ns() / 1e6


class Probe:
    """A stream that is fed as if at the pace of speech, though without waiting.

    A block is due when its last sample has been spoken and is started then, or when the one
    before it is done; what it takes is measured. So `done_ms` is when a real-time reader of this
    machine would have shown its captions.
    """

    def __init__(
        self, stream: Stream, times_ms: Callable[[], tuple[float, float]] = process_times_ms
    ) -> None:
        """`times_ms` tells processor time and clock of whoever computes."""
        self._stream = stream
        self._times_ms = times_ms
        self.loop: TimedLoop | None = None  # of the family that decodes step by step
        stages = stream.stages
        if isinstance(stages, ConcatenatedStages):
            self.loop = TimedLoop.around(stages.loop)
            stages.loop = self.loop  # type: ignore[assignment]
        self.reader = Reader()
        self.heard_ms = 0.0
        self.compute_ms = 0.0
        self.block_cpu_ms: list[float] = []
        self._heard: list[float] = []  # after each block
        self._done: list[float] = []

    def push(self, samples: Samples) -> list[Event]:
        """One block of float32 [n]."""
        self.heard_ms += 1000 * len(samples) / self._stream.rate_hz
        return self._take(lambda: self._stream.push(samples))

    def finish(self) -> list[Event]:
        """Ends the stream; what is written now came with the last sample."""
        return self._take(self._stream.finish)

    def _take(self, work: Callable[[], list[Event]]) -> list[Event]:
        cpu_ms, start_ms = self._times_ms()
        events = work()
        cpu_end_ms, end_ms = self._times_ms()
        self.block_cpu_ms.append(cpu_end_ms - cpu_ms)
        self.compute_ms += end_ms - start_ms
        before_ms = self._done[-1] if self._done else 0.0
        self._heard.append(self.heard_ms)
        self._done.append(max(self.heard_ms, before_ms) + end_ms - start_ms)
        self.reader.push(events, self.heard_ms)
        return events

    @property
    def cpu_ms(self) -> float:
        """Processor time of the process in all pushes."""
        return sum(self.block_cpu_ms)

    def done_ms(self, heard_ms: float) -> float:
        """When what was written with `heard_ms` heard was there, with the time for computing."""
        place = bisect.bisect_left(self._heard, heard_ms - 1e-6)
        if place == len(self._heard) or self._heard[place] == self._heard[-1]:
            place = -1  # the end of the stream comes with its last block
        return self._done[place]


@dataclass(slots=True)
class Latency:
    """How long after its end each word came that was right, in the order of speech."""

    ends_ms: list[float] = field(default_factory=list)  # true end of the word
    shown_after_ms: list[float] = field(default_factory=list)  # in a draft or final
    shown_done_after_ms: list[float] = field(default_factory=list)  # with the time for computing
    committed_after_ms: list[float] = field(default_factory=list)
    committed_done_after_ms: list[float] = field(default_factory=list)

    def add(self, spoken: list[SpokenWord], probe: Probe) -> None:
        """Pairs the words of one stream by an alignment; those without a known end are left."""
        found: list[ShownWord] = probe.reader.words
        for i, j in matches([w.text for w in spoken], probe.reader.texts):
            end_ms, word = spoken[i].end_ms, found[j]
            if end_ms is None:
                continue
            self.ends_ms.append(end_ms)
            self.shown_after_ms.append(word.shown_ms - end_ms)
            self.shown_done_after_ms.append(probe.done_ms(word.shown_ms) - end_ms)
            self.committed_after_ms.append(word.committed_ms - end_ms)
            self.committed_done_after_ms.append(probe.done_ms(word.committed_ms) - end_ms)


@dataclass(slots=True)
class LongRun:
    """What one long stream of speech gave."""

    probe: Probe
    score: Score
    latency: Latency

    def steps_ms(self) -> list[float]:
        """Times of the steps after the warm-up, by the clock; none of a family without steps."""
        return self._warm(self.probe.loop.step_ms) if self.probe.loop else []

    def steps_cpu_ms(self) -> list[float]:
        """The same on the processor."""
        return self._warm(self.probe.loop.step_cpu_ms) if self.probe.loop else []

    def _warm(self, steps_ms: list[float]) -> list[float]:
        return steps_ms[int(len(steps_ms) * min(WARM_UP_MS / self.probe.heard_ms, 0.5)) :]


def hear(
    stream: Stream,
    pieces: Iterable[tuple[Samples, list[SpokenWord]]],
    times_ms: Callable[[], tuple[float, float]] = process_times_ms,
) -> tuple[Probe, list[SpokenWord]]:
    """One stream from its start to its end, and the words that were spoken in it."""
    stream.reset()
    probe, said = Probe(stream, times_ms), list[SpokenWord]()
    for samples, words in pieces:
        said += words
        for block in blocks(samples):
            probe.push(block)
    probe.finish()
    return probe, said


def run_long(stream: Stream, clips: list[Clip], minutes: float) -> LongRun:
    """One continuous stream of `minutes` of speech with pauses."""
    probe, spoken = hear(stream, long_stream(clips, minutes))
    run = LongRun(probe, Score(), Latency())
    run.score.add([w.text for w in spoken], probe.reader.texts)
    run.latency.add(spoken, probe)
    return run


def count_words(stream: Stream, pieces: Iterable[Samples]) -> int:
    """Words written while a sound was heard."""
    probe, _ = hear(stream, ((piece, []) for piece in pieces))
    return len(probe.reader.words)


def settle(stream: Stream) -> None:
    """Runs ten seconds of silence, so that everything is loaded and warm."""
    for block in blocks(np.zeros(10 * RATE_HZ, np.float32)):
        stream.push(block)
    stream.finish()
    stream.reset()
