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
    """Shared by a loudspeaker and a microphone: when the one spoke. Times are `time.monotonic`.

    `begin` and `end` may be repeated, and come from the loudspeaker's own thread.
    """

    def __init__(self) -> None:
        self._spans: deque[tuple[float, float]] = deque()  # in order
        self._since_s: float | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """From now on there is sound in the room."""
        with self._lock:
            if self._since_s is None:
                self._since_s = time.monotonic()

    def end(self) -> None:
        """All of it was played."""
        with self._lock:
            if self._since_s is None:
                return
            now_s = time.monotonic()
            self._spans.append((self._since_s, now_s))
            self._since_s = None
            while self._spans[0][1] < now_s - KEPT_S:
                self._spans.popleft()

    def spans(self, begin_s: float, end_s: float) -> list[tuple[float, float]]:
        """When samples that come in between these times are not heard; one may have no end."""
        with self._lock:
            heard = [(first_s, last_s + ECHO_S + DEVICE_S) for first_s, last_s in self._spans]
            if self._since_s is not None:
                heard.append((self._since_s, math.inf))
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
        # The sound is older than its samples' coming, and younger than the clock says: it does not
        # know yet of samples that were lost without a word.
        late_s = time.monotonic() - self._source.behind_ms / 1000
        early_s = self._clock.push((n + block.lost_samples) / rate_hz, late_s)
        late_s, early_s = late_s - n / rate_hz, early_s - n / rate_hz
        spans = self._mute.spans(early_s, late_s + n / rate_hz)
        if not spans or not n:
            return block
        samples = block.samples.copy()
        for first_s, last_s in spans:
            first = max(0, math.floor((first_s - late_s) * rate_hz))
            end = n if math.isinf(last_s) else max(0, math.ceil((last_s - early_s) * rate_hz))
            samples[first:end] = np.float32(0)
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
