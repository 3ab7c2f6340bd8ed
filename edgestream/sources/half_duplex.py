# SPDX-License-Identifier: Apache-2.0
"""A microphone beside a loudspeaker: what this program says itself, it does not hear.

While it speaks, and a moment longer, the microphone's samples are replaced by silence. They are not
lost: times stay right. Whoever talks meanwhile is not heard either, hence half-duplex.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgestream.sources.block import Block, Source

ECHO_S = 0.3  # a room goes on sounding, and a device hands over what it heard a moment ago
DEVICE_S = 0.2  # at most between a sound in the air and its samples here
KEPT_S = 60.0  # how long it is remembered when it spoke; a microphone's reader is less far behind
DRIFT = 2e-4  # by which the clocks of sound card and system differ at most


class Mute:
    """Shared by a loudspeaker and a microphone: when the one spoke. Times are `time.monotonic`."""

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque()  # apart from each other, in order
        self._lock = threading.Lock()

    def spoke(self, begin_s: float, end_s: float) -> None:
        """Sound is in the room between these times, of which `end_s` may lie ahead."""
        with self._lock:
            if self._spans and begin_s <= self._spans[-1][1] + ECHO_S:
                last_begin_s, last_end_s = self._spans.pop()
                begin_s, end_s = min(begin_s, last_begin_s), max(end_s, last_end_s)
            self._spans.append((begin_s, end_s))
            while self._spans[0][1] < end_s - KEPT_S:
                self._spans.popleft()

    def spans(self, begin_s: float, end_s: float) -> list[tuple[float, float]]:
        """When samples that come in between these times are not heard."""
        with self._lock:
            heard = [(first_s, last_s + ECHO_S + DEVICE_S) for first_s, last_s in self._spans]
        return [span for span in heard if span[0] < end_s and span[1] > begin_s]


class HalfDuplex:
    """A live source whose samples are zero while `mute` says that the loudspeaker spoke.

    Only for microphones: it takes the time at which samples come for the time of their sound.
    """

    live = True

    def __init__(self, source: Source, mute: Mute) -> None:
        self._source = source
        self._mute = mute
        self._clock = _Clock()

    @property
    def rate_hz(self) -> int:
        return self._source.rate_hz

    @property
    def name(self) -> str:
        """The microphone's."""
        return str(getattr(self._source, "name", "microphone"))

    @property
    def behind_ms(self) -> float:
        return self._source.behind_ms

    def __iter__(self) -> Iterator[Block]:
        for block in self._source:
            yield self._muted(block)

    def stop(self) -> None:
        self._source.stop()

    def close(self) -> None:
        self._source.close()

    def _muted(self, block: Block) -> Block:
        n, rate_hz = len(block.samples), block.rate_hz or self._source.rate_hz
        now_s = time.monotonic() - self._source.behind_ms / 1000
        end_s = self._clock.push((n + block.lost_samples) / rate_hz, now_s)
        begin_s = end_s - n / rate_hz
        spans = self._mute.spans(begin_s, end_s)
        if not spans or not n:
            return block
        samples = block.samples.copy()
        for first_s, last_s in spans:
            first = max(0, math.floor((first_s - begin_s) * rate_hz))
            samples[first : max(0, math.ceil((last_s - begin_s) * rate_hz))] = np.float32(0)
        return replace(block, samples=samples)


class _Clock:
    """When samples came in, where the reader may have been too slow for them.

    Samples lost and not lost count the time of the source; the least delay at which any of them
    was read ties it to the clock on the wall.
    """

    def __init__(self) -> None:
        self._heard_s = 0.0
        self._offset_s = math.inf

    def push(self, length_s: float, now_s: float) -> float:
        """Takes a block that ends at `now_s` at the latest; returns when it ended."""
        self._heard_s += length_s
        self._offset_s = min(self._offset_s + DRIFT * length_s, now_s - self._heard_s)
        return self._heard_s + self._offset_s
