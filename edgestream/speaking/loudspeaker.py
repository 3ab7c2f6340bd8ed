# SPDX-License-Identifier: Apache-2.0
"""The loudspeaker: a queue of samples, and a callback of PortAudio that takes from it."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from edgestream.errors import DeviceError, EdgestreamError
from edgestream.sources.block import Samples, check_rate
from edgestream.sources.half_duplex import Mute
from edgestream.sources.sound_devices import (
    LOUDSPEAKER,
    OPEN,
    PORTAUDIO,
    Device,
    find_device,
    portaudio,
    refresh,
)
from edgestream.system.noise import caught

BLOCK_MS = 20  # what the device asks for at a time
LATENCY_S = 0.1  # the device's own buffer, as the microphone's
AHEAD_S = 0.5  # of sound that waits here: enough to begin the next clause meanwhile
POLL_S = 0.01
LOST_AFTER_S = 5.0  # a device that takes nothing for this long is gone
MAX_DELAY_S = 2.0  # between a sample's way to the device and its sound; more is a wrong clock


class LoudspeakerOutput:
    """Plays on `device` (name, index, or the default for None); tells `mute` when it sounds.

    The device is open from `begin` to `close`, and found by its name each time.
    Raises DeviceError, or UsageError for a wrong `device`.
    """

    live = True

    def __init__(self, device: str | int | None = None, mute: Mute | None = None) -> None:
        self._sounddevice = portaudio(LOUDSPEAKER)
        self._mute = mute
        self._queue: deque[Samples] = deque()  # what the callback has not begun
        self._begun: Samples | None = None  # the rest of what it has; its own
        self._n_written = self._n_taken = 0  # each is changed by one thread only
        self._aborted = False
        self._n_sounding = 0  # frames that the device takes until all before them were played
        self._stream: Any = None
        self._open(device)
        self._wanted = None if device is None else self._name

    @property
    def ahead_s(self) -> float:
        return (self._n_written - self._n_taken) / self.rate_hz

    def begin(self) -> None:
        """Opens the device if it is not open. Raises DeviceError or UsageError where it is gone."""
        if self._stream is None:
            try:
                self._open(self._wanted)
            except EdgestreamError:
                # Since it was plugged in again it has another index, which PortAudio must look for.
                refresh(self._sounddevice)
                self._open(self._wanted)

    def write(self, samples: Samples) -> None:
        """Raises DeviceError where the device takes nothing any more."""
        self._wait(AHEAD_S)
        self._queue.append(samples)
        self._n_written += len(samples)

    def drain(self) -> None:
        """Raises DeviceError as `write` does."""
        self._wait(0.0)
        if not self._aborted:
            time.sleep(self._delay_s)  # the device has it, and plays it

    def abort(self) -> None:
        self._aborted = True

    def close(self) -> None:
        """May be repeated. What was not played is dropped."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with PORTAUDIO, caught():
                OPEN.discard(self)
                stream.close(ignore_errors=True)
            self._silent()
        self._queue.clear()
        self._begun = None
        self._n_taken = self._n_written

    def _open(self, wanted: str | int | None) -> None:
        with PORTAUDIO, caught():
            device = find_device(LOUDSPEAKER, wanted)
            check_rate(device.rate_hz, device.channels, f"loudspeaker '{device.name}'")
            self._name, self.rate_hz = device.name, device.rate_hz
            stream = self._stream_of(device)
            self._delay_s = max(LATENCY_S, float(stream.latency))
            try:
                stream.start()
            except self._sounddevice.PortAudioError as error:
                stream.close(ignore_errors=True)
                raise _refused(device, error) from None
            self._stream = stream
            OPEN.add(self)

    def _stream_of(self, device: Device) -> Any:
        """As mono if the device can do that itself, else on all of its channels."""
        for channels in (1, device.channels):
            try:
                return self._sounddevice.OutputStream(
                    device=device.index,
                    samplerate=device.rate_hz,
                    channels=channels,
                    dtype="float32",
                    blocksize=device.rate_hz * BLOCK_MS // 1000,
                    latency=LATENCY_S,
                    callback=self._on_block,
                )
            except self._sounddevice.PortAudioError as error:
                refusal = _refused(device, error)
        raise refusal

    def _wait(self, ahead_s: float) -> None:
        """Until no more than this is queued."""
        n_before, since_s = self._n_taken, time.monotonic()
        while self.ahead_s > ahead_s and not self._aborted:
            time.sleep(POLL_S)
            if n_before != self._n_taken:
                n_before, since_s = self._n_taken, time.monotonic()
            elif time.monotonic() - since_s > LOST_AFTER_S:
                name = self._name
                self.close()
                raise DeviceError(f"loudspeaker '{name}' takes no sound any more; plug it in again")

    def _on_block(self, frames: Samples, n_frames: int, when: Any, status: Any) -> None:
        """On PortAudio's thread."""
        n = 0 if self._aborted else self._fill(frames[:, 0])
        frames[n:, 0] = 0.0
        frames[:, 1:] = frames[:, :1]
        if n and self._mute is not None:
            self._mute.begin()
            delay_s = when.outputBufferDacTime - when.currentTime
            if not self._delay_s < delay_s < MAX_DELAY_S:
                delay_s = self._delay_s
            self._n_sounding = round(delay_s * self.rate_hz)
        elif self._n_sounding:
            # Counted in frames, not by the clock: a device that stalls sounds later.
            self._n_sounding = max(0, self._n_sounding - n_frames)
            if not self._n_sounding:
                self._silent()

    def _silent(self) -> None:
        if self._mute is not None:
            self._mute.end()

    def _fill(self, room: Samples) -> int:
        """Copies what is queued into the room [n]; returns how much there was."""
        n = 0
        while n < len(room):
            if self._begun is None:
                if not self._queue:
                    break
                self._begun = self._queue.popleft()
            part = self._begun[: len(room) - n]
            room[n : n + len(part)] = part
            n += len(part)
            self._begun = self._begun[len(part) :] if len(part) < len(self._begun) else None
        self._n_taken += n
        return n


def _refused(device: Device, error: Exception) -> DeviceError:
    return DeviceError(
        f"loudspeaker '{device.name}' cannot be opened: {error}; "
        f"close other programs that use it or choose another: {LOUDSPEAKER.see}"
    )
