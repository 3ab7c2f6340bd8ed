# SPDX-License-Identifier: Apache-2.0
"""As much of the sounddevice module as edgestream uses, with devices that tests plug and unplug."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000


class PortAudioError(Exception):
    """What PortAudio refuses."""


@dataclass
class FakeDevice:
    """`open_channels` and `open_rates_hz`: what it lets itself be opened with."""

    name: str
    channels: int = 1
    out_channels: int = 0
    rate_hz: int = RATE_HZ
    hostapi: int = 0
    busy: bool = False
    refuses_start: bool = False
    open_channels: tuple[int, ...] = (1,)
    open_rates_hz: tuple[int, ...] = (RATE_HZ,)


@dataclass
class FakeSoundDevice:
    """Stands in `sys.modules["sounddevice"]`. Devices are seen after a restart, as in PortAudio."""

    plugged: list[FakeDevice] = field(default_factory=lambda: [FakeDevice("Built-in Microphone")])
    default: int | None = 0
    n_restarts: int = 0
    PortAudioError: type[Exception] = PortAudioError

    def __post_init__(self) -> None:
        self.streams: list[FakeStream] = []
        self._initialize()

    def _terminate(self) -> None:
        assert all(stream.closed for stream in self.streams), "terminated under an open stream"

    def _initialize(self) -> None:
        self.n_restarts += 1
        self.seen = list(self.plugged)

    def query_hostapis(self) -> list[dict[str, Any]]:
        return [{"name": "ALSA"}, {"name": "JACK"}]

    def query_devices(self, kind: str | None = None) -> Any:
        rows = [
            {
                "index": index,
                "name": device.name,
                "hostapi": device.hostapi,
                "max_input_channels": device.channels,
                "max_output_channels": device.out_channels,
                "default_samplerate": float(device.rate_hz),
            }
            for index, device in enumerate(self.seen)
        ]
        if kind is None:
            return rows
        if self.default is None or self.default >= len(rows):
            raise PortAudioError("Error querying device -1")
        return rows[self.default]

    def InputStream(self, **options: Any) -> FakeStream:  # noqa: N802, the module's own name
        return self._open(**options)

    def OutputStream(self, **options: Any) -> FakeStream:  # noqa: N802
        return self._open(**options)

    def _open(self, **options: Any) -> FakeStream:
        device = self.seen[options["device"]]
        if device.busy:
            raise PortAudioError("Device unavailable [PaErrorCode -9985]")
        if options["channels"] not in device.open_channels:
            raise PortAudioError("Invalid number of channels [PaErrorCode -9998]")
        if options["samplerate"] not in device.open_rates_hz:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        self.streams.append(FakeStream(**options, refuses_start=device.refuses_start))
        return self.streams[-1]


class FakeStream:
    """`feed` hands over samples as the audio thread would, `take` asks for some."""

    latency = 0.1

    def __init__(self, *, callback: Callable[..., None], channels: int, **options: Any) -> None:
        self.options = options
        self.channels = channels
        self.started = self.closed = False
        self.adc_s = 100.0
        self._callback = callback

    def start(self) -> None:
        if self.options["refuses_start"]:
            raise PortAudioError("Error starting stream: Unanticipated host error")
        self.started = True

    def close(self, ignore_errors: bool = True) -> None:
        assert not self.closed, "closed twice"
        self.closed = True

    def feed(self, samples: npt.NDArray[np.float32], overflow_s: float = 0.0) -> None:
        """`samples`: float32 [n, channels] or, for one channel, [n]."""
        assert self.started
        frames = np.asarray(samples, np.float32).reshape(-1, self.channels)
        self.adc_s += overflow_s
        self._callback(
            frames,
            len(frames),
            SimpleNamespace(inputBufferAdcTime=self.adc_s),
            SimpleNamespace(input_overflow=overflow_s > 0),
        )
        self.adc_s += len(frames) / self.options["samplerate"]

    def take(self, n_frames: int, delay_s: float = 0.1) -> npt.NDArray[np.float32]:
        """What is played next, float32 [n, channels]; it will sound after `delay_s`."""
        assert self.started
        assert not self.closed
        frames = np.full((n_frames, self.channels), np.nan, np.float32)
        when = SimpleNamespace(currentTime=50.0, outputBufferDacTime=50.0 + delay_s)
        self._callback(frames, n_frames, when, SimpleNamespace(output_underflow=False))
        return frames
