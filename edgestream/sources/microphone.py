# SPDX-License-Identifier: Apache-2.0
"""The microphone: a callback that only copies, a reader that counts what was lost."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from edgestream._native import SampleRing
from edgestream.errors import DeviceError, EdgestreamError
from edgestream.sources.block import Block, Samples, check_rate
from edgestream.sources.channels import Downmix
from edgestream.sources.microphones import find_device
from edgestream.sources.sound_devices import MICROPHONE, OPEN, PORTAUDIO, Device, portaudio, refresh
from edgestream.system.noise import caught

RING_S = 12.0  # how long the rest may stall, as a slow decoder does, before samples are lost
BLOCK_MS = 20  # what the device hands over at a time
# Room in the device's own buffer. With PortAudio's "high" for ALSA (35 ms) a PulseAudio device
# lost a fifth of its samples without a word; with this it lost none, a second's stall included.
LATENCY_S = 0.1
POLL_MS = 10  # how often the reader looks; bounds the delay that it adds
LOST_AFTER_S = 2.0  # a device that is silent (not: quiet) for this long is gone
RETRY_FIRST_S = 0.5  # then doubled each time
RETRY_MAX_S = 2.0
DIGITAL_SILENCE_S = 10.0
MUTED = (
    "the microphone gives digital silence: it may be muted, or this program may not be allowed to"
    " hear it; see the system's sound settings"
)
OVERFLOW = "overflow"
LOST = "microphone lost"


class MicrophoneSource:
    """Blocks from the microphone `device` (name, index or None: the default) until `stop()`.

    What the reader is too slow for is lost, counted and reported as "overflow". A device that
    vanishes is reported as "microphone lost" and opened again, under the same name, when it is
    back; the clock runs on meanwhile. Raises DeviceError, or UsageError for a wrong `device`.
    """

    live = True

    def __init__(self, device: str | int | None = None, ring_s: float = RING_S) -> None:
        self._sounddevice = portaudio(MICROPHONE)
        self._wanted = device
        self._ring_s = ring_s
        self._stopped = False  # a lock here could hang a signal handler that stops us
        self._retry_s = RETRY_FIRST_S
        self._lost = False  # between a loss and the first sample after it
        self._accounted_s = time.monotonic()  # up to here time went into samples or losses
        with PORTAUDIO:
            found = find_device(device)
            self.name = found.name
            self.rate_hz = found.rate_hz  # another device, later, may have another
            self._connect(found)

    @property
    def behind_ms(self) -> float:
        """How long the oldest unread sample has waited."""
        return float(1000 * self._ring.readable / self._capture.rate_hz)

    def __iter__(self) -> Iterator[Block]:
        while not self._stopped:
            block = self._read()
            if block is not None:
                yield block
            elif time.monotonic() < self._patient_until_s:
                time.sleep(POLL_MS / 1000)
            elif not self._lost:
                self._lost = True
                yield self._block(np.zeros(0, np.float32), self._unaccounted(), LOST)
            else:
                self._reconnect()
        self._capture.close()  # what is in the ring was spoken before the stop
        while (block := self._read()) is not None:
            yield block

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._capture.close()

    def _connect(self, device: Device) -> None:
        check_rate(device.rate_hz, device.channels, f"microphone '{device.name}'")
        capture = _Capture(self._sounddevice, device)
        # All of these are new with a device, so that no late callback of an old one can matter.
        self._ring = SampleRing(round(self._ring_s * capture.rate_hz))
        self._room = np.empty(self._ring.capacity, np.float32)
        self._watch = _LossWatch(capture.rate_hz)
        self._quiet = _Quiet(capture.rate_hz)
        self._capture = capture
        self._patient_until_s = time.monotonic() + LOST_AFTER_S
        capture.start(self._ring)

    def _read(self) -> Block | None:
        """What has come in since the last time, up to the next loss; None if nothing has."""
        n_lost = self._ring.take_gap()
        n_read = self._ring.read(self._room)
        if n_lost == 0 and n_read == 0:
            return None
        n_lost += self._watch.push(n_read + n_lost, time.monotonic())
        reason = OVERFLOW if n_lost else ""
        if self._lost:
            n_lost = max(0, self._unaccounted() - n_read - self._ring.readable)
            reason = LOST if n_lost else ""
            self._lost, self._retry_s = False, RETRY_FIRST_S
        self._accounted_s = time.monotonic()
        self._patient_until_s = self._accounted_s + LOST_AFTER_S
        samples = self._room[:n_read].copy()
        notice = self._capture.mix.take_notice() or self._quiet.push(samples)
        return self._block(samples, n_lost, reason, notice)

    def _block(self, samples: Samples, n_lost: int, reason: str, notice: str = "") -> Block:
        return Block(samples, n_lost, reason, notice, self._capture.rate_hz)

    def _unaccounted(self) -> int:
        """Samples' worth of time since the last that was accounted for, which it now is."""
        now_s = time.monotonic()
        passed_s, self._accounted_s = now_s - self._accounted_s, now_s
        return round(passed_s * self._capture.rate_hz)

    def _reconnect(self) -> None:
        """One attempt to open the same microphone again; the next comes later each time."""
        self._capture.close()
        try:
            refresh(self._sounddevice)
            with PORTAUDIO:
                self._connect(find_device(None if self._wanted is None else self.name))
        except EdgestreamError:  # not back yet
            self._patient_until_s = time.monotonic() + self._retry_s
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)


class _LossWatch:
    """Losses that the device does not admit: fewer samples came than time went by.

    What counts is the *least* lateness of each window: stalls and bursts come and go, and clocks
    that differ by some parts per million shift it by less than the threshold.
    """

    WINDOW_S = 2.0
    THRESHOLD_S = 0.05

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._begun_s: float | None = None  # at the first samples, which are not counted
        self._n_samples = 0
        self._window_begun_s = 0.0
        self._least_s = math.inf  # lateness in this window
        self._usual_s = math.inf  # and in the last one

    def push(self, n_samples: int, now_s: float) -> int:
        """Takes the samples that came until `now_s`; returns how many are missing beside them."""
        if self._begun_s is None:
            self._begun_s = self._window_begun_s = now_s
            return 0
        self._n_samples += n_samples
        late_s = now_s - self._begun_s - self._n_samples / self._rate_hz
        self._least_s = min(self._least_s, late_s)
        if now_s - self._window_begun_s < self.WINDOW_S:
            return 0
        rise_s = self._least_s - self._usual_s
        self._window_begun_s, self._usual_s, self._least_s = now_s, self._least_s, math.inf
        return round(rise_s * self._rate_hz) if rise_s > self.THRESHOLD_S else 0


class _Quiet:
    """Says once that a microphone gives nothing but zeros, which no open one does."""

    def __init__(self, rate_hz: int) -> None:
        self._limit = round(DIGITAL_SILENCE_S * rate_hz)
        self._n_zeros = 0

    def push(self, samples: Samples) -> str:
        """Takes samples; returns what is to be said, empty most of the time."""
        sounding = np.flatnonzero(samples)
        before = self._n_zeros
        n_after = len(samples) - 1 - int(sounding[-1]) if len(sounding) else len(samples) + before
        self._n_zeros = n_after
        return MUTED if before < self._limit <= n_after else ""


class _Capture:
    """One open PortAudio stream that fills a ring with mono samples."""

    def __init__(self, sounddevice: ModuleType, device: Device) -> None:
        self._name, self._refusal = device.name, sounddevice.PortAudioError
        self.rate_hz = device.rate_hz
        self.mix = Downmix(1, self.rate_hz)
        self._ring: SampleRing | None = None
        self._adc_due_s = 0.0  # when the next block should have been recorded; 0: not known
        with PORTAUDIO, caught():
            self._stream = self._open(sounddevice, device)
            OPEN.add(self)

    def start(self, ring: SampleRing) -> None:
        self._ring = ring
        try:
            with caught():
                self._stream.start()
        except self._refusal as error:
            self.close()
            raise _refused(self._name, error) from None

    def close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with PORTAUDIO, caught():
                OPEN.discard(self)
                stream.close(ignore_errors=True)
            if self._ring is not None:
                self._ring.write(self.mix.finish())

    def _open(self, sounddevice: ModuleType, device: Device) -> Any:
        """As mono if the device can do that itself, else with all its channels."""
        for channels in (1, device.channels):
            self.mix = Downmix(channels, self.rate_hz)
            try:
                return sounddevice.InputStream(
                    device=device.index,
                    samplerate=self.rate_hz,
                    channels=channels,
                    dtype="float32",
                    blocksize=self.rate_hz * BLOCK_MS // 1000,
                    latency=LATENCY_S,
                    callback=self._on_block,
                )
            except sounddevice.PortAudioError as error:
                refusal = _refused(device.name, error)
        raise refusal

    def _on_block(self, frames: Samples, n_frames: int, when: Any, status: Any) -> None:
        """On PortAudio's thread: into the ring and nothing else."""
        ring = self._ring
        if ring is None:
            return
        adc_s = when.inputBufferAdcTime
        if status.input_overflow:
            late_s = adc_s - self._adc_due_s if self._adc_due_s else 0.0
            ring.lose(max(1, round(late_s * self.rate_hz)))
        self._adc_due_s = adc_s + n_frames / self.rate_hz
        ring.write(self.mix.push(frames))


def _refused(name: str, error: Exception) -> DeviceError:
    return DeviceError(
        f"microphone '{name}' cannot be opened: {error}; "
        f"close other programs that use it or choose another: {MICROPHONE.see}"
    )
