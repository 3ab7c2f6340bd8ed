# SPDX-License-Identifier: Apache-2.0
"""Runs streams under measurement: time of each step and block, captions as shown, errors."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream._native import ConcatenatedLoop
from edgestream.bench_sounds import sound
from edgestream.bench_speech import (
    RATE_HZ,
    Clip,
    SpokenWord,
    blocks,
    long_stream,
    padded,
    silence,
)
from edgestream.bench_words import Score, ShownWord, Watch, align, spoken_words
from edgestream.concatenated import ConcatenatedStages
from edgestream.events import Event, Final
from edgestream.session import Stream
from edgestream.source import Samples

LEAD_MS = 300.0  # silence before a clip that is a stream of its own
WARM_UP_MS = 12_000.0  # fills the decoder's window; step times count from here on


class TimedLoop:
    """A loop that notes the time of each of its steps, on the clock and on the processor."""

    def __init__(self, loop: ConcatenatedLoop) -> None:
        self._loop = loop
        self.finish = loop.finish
        self.reset = loop.reset
        self.step_ms: list[float] = []
        self.step_cpu_ms: list[float] = []

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


class Probe:
    """A stream that is fed as if at the pace of speech, though without waiting.

    A block is due when its last sample has been spoken and is started then, or when the one
    before it is done; what it takes is measured. So `done_ms` is when a real-time reader of this
    machine would have shown its captions.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        stages = stream._stages
        assert isinstance(stages, ConcatenatedStages)
        self.loop = TimedLoop(stages.loop)
        stages.loop = self.loop  # type: ignore[assignment]
        self.watch = Watch()
        self.heard_ms = 0.0
        self.compute_ms = 0.0
        self.cpu_ms = 0.0
        self._done_ms = 0.0

    def push(self, samples: Samples) -> list[Event]:
        """One block of float32 [n]."""
        cpu_ns, start_ns = time.process_time_ns(), time.perf_counter_ns()
        events = self._stream.push(samples)
        took_ms = (time.perf_counter_ns() - start_ns) / 1e6
        self.cpu_ms += (time.process_time_ns() - cpu_ns) / 1e6
        self.compute_ms += took_ms
        self.heard_ms += 1000 * len(samples) / self._stream.rate_hz
        self._done_ms = max(self.heard_ms, self._done_ms) + took_ms
        self.watch.push(events, self.heard_ms, self._done_ms)
        return events

    def finish(self) -> list[Event]:
        """Ends the stream."""
        events = self._stream.finish()
        self.watch.push(events, self.heard_ms, self._done_ms)
        return events


@dataclass(slots=True)
class Latency:
    """How long after its end each word was shown that was right, in the order of speech."""

    ends_ms: list[float] = field(default_factory=list)  # true end of the word
    heard_after_ms: list[float] = field(default_factory=list)  # heard more when it was shown
    shown_after_ms: list[float] = field(default_factory=list)  # with the time for computing

    def add(self, spoken: list[SpokenWord], shown: list[ShownWord]) -> None:
        """Pairs the words of one stream by an alignment; those without a known end are left."""
        for i, j in align([w.text for w in spoken], [w.text for w in shown]):
            if i is None or j is None or spoken[i].text != shown[j].text:
                continue
            end_ms = spoken[i].end_ms
            if end_ms is not None:
                self.ends_ms.append(end_ms)
                self.heard_after_ms.append(shown[j].heard_ms - end_ms)
                self.shown_after_ms.append(shown[j].done_ms - end_ms)


@dataclass(slots=True)
class LongRun:
    """What one long stream of speech gave."""

    probe: Probe
    score: Score
    latency: Latency

    def steps_ms(self) -> list[float]:
        """Times of the steps after the warm-up, by the clock."""
        return self._warm(self.probe.loop.step_ms)

    def steps_cpu_ms(self) -> list[float]:
        """The same on the processor."""
        return self._warm(self.probe.loop.step_cpu_ms)

    def _warm(self, steps_ms: list[float]) -> list[float]:
        return steps_ms[int(len(steps_ms) * min(WARM_UP_MS / self.probe.heard_ms, 0.5)) :]


def run_long(stream: Stream, clips: list[Clip], minutes: float) -> LongRun:
    """One continuous stream of `minutes` of speech with pauses."""
    probe = Probe(stream)
    spoken: list[SpokenWord] = []
    for piece, words in long_stream(clips, minutes):
        spoken += words
        for block in blocks(piece):
            probe.push(block)
    probe.finish()
    run = LongRun(probe, Score(), Latency())
    run.score.add([w.text for w in spoken], [w.text for w in probe.watch.words])
    run.latency.add(spoken, probe.watch.words)
    return run


def score_clips(stream: Stream, clips: list[Clip]) -> dict[str, Score]:
    """Word errors by voice, each clip a stream of its own."""
    scores: dict[str, Score] = {}
    lead = silence(LEAD_MS)
    for clip in clips:
        stream.reset()
        events: list[Event] = []
        for block in blocks(np.concatenate([lead, padded(clip.samples, 0)])):
            events += stream.push(block)
        text = " ".join(e.text for e in [*events, *stream.finish()] if isinstance(e, Final))
        score = scores.setdefault(clip.voice, Score())
        score.add(spoken_words(clip.text), spoken_words(text))
    return scores


def total(scores: Iterable[Score]) -> Score:
    """Errors and words of all of them together."""
    whole = Score()
    for score in scores:
        whole.errors += score.errors
        whole.words += score.words
    return whole


def count_words(stream: Stream, kind: str, minutes: float) -> int:
    """Words written while `minutes` of one kind of sound were heard."""
    stream.reset()
    events: list[Event] = []
    for piece in sound(kind, minutes):
        for block in blocks(piece):
            events += stream.push(block)
    events += stream.finish()
    return sum(len(event.words) for event in events if isinstance(event, Final))


def settle(stream: Stream) -> None:
    """Runs ten seconds of silence, so that everything is loaded and warm."""
    for block in blocks(np.zeros(10 * RATE_HZ, np.float32)):
        stream.push(block)
    stream.finish()
    stream.reset()
