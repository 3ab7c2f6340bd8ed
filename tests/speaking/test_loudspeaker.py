# SPDX-License-Identifier: Apache-2.0
"""The loudspeaker on a fake PortAudio; the real one is in test_spoken_room.py."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from fake_sounddevice import RATE_HZ, FakeDevice, FakeSoundDevice

from edgestream.errors import DeviceError, UsageError
from edgestream.sources.half_duplex import Mute
from edgestream.sources.microphone import MicrophoneSource
from edgestream.sources.sound_devices import OPEN, Device, Kind, refresh
from edgestream.speaking import loudspeaker
from edgestream.speaking.loudspeaker import LoudspeakerOutput

RAMP = np.linspace(-0.5, 0.5, 100, dtype=np.float32)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    module = FakeSoundDevice([FakeDevice("Speakers", out_channels=2)])
    monkeypatch.setitem(sys.modules, "sounddevice", module)  # type: ignore[arg-type]
    OPEN.clear()  # of other tests, which leave theirs open
    return module


def in_thread(step: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=step)
    thread.start()
    return thread


def test_samples_are_played_in_order_with_silence_behind(fake: FakeSoundDevice) -> None:
    output = LoudspeakerOutput()
    (stream,) = fake.streams
    output.write(RAMP)
    output.write(-RAMP)
    assert output.ahead_s == 200 / RATE_HZ
    played = np.concatenate([stream.take(70) for _ in range(4)])[:, 0]
    assert np.array_equal(played[:200], np.concatenate([RAMP, -RAMP]))
    assert not played[200:].any()
    assert output.ahead_s == 0
    output.drain()
    output.close()
    output.close()
    assert stream.closed


def test_a_device_without_mono_plays_on_all_its_channels(fake: FakeSoundDevice) -> None:
    fake.seen[0].open_channels = (2,)
    output = LoudspeakerOutput()
    output.write(RAMP)
    frames = fake.streams[0].take(100)
    assert np.array_equal(frames, np.stack([RAMP, RAMP], axis=1))
    output.close()


def test_write_waits_for_room_and_abort_ends_the_wait(fake: FakeSoundDevice) -> None:
    output = LoudspeakerOutput()
    output.write(np.ones(2 * RATE_HZ, np.float32))  # more than may wait
    waiting = in_thread(lambda: output.write(RAMP))
    time.sleep(0.05)
    assert waiting.is_alive()
    output.abort()
    waiting.join(timeout=20)
    assert not waiting.is_alive()
    assert not fake.streams[0].take(100).any()
    output.drain()
    output.close()


def test_a_device_that_takes_nothing_is_told_of_and_opened_again(
    fake: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loudspeaker, "LOST_AFTER_S", 0.05)
    output = LoudspeakerOutput("speak")
    output.write(RAMP)
    with pytest.raises(DeviceError, match="loudspeaker 'Speakers' takes no sound any more"):
        output.drain()
    assert fake.streams[0].closed
    fake.plugged.clear()
    fake.seen[0].busy = True
    with pytest.raises(DeviceError, match="this machine has none"):
        output.begin()
    fake.plugged.append(
        FakeDevice("Speakers", out_channels=1, rate_hz=8_000, open_rates_hz=(8000,))
    )
    output.begin()
    assert output.rate_hz == 8_000
    output.write(-RAMP)
    assert np.array_equal(fake.streams[1].take(100)[:, 0], -RAMP)
    output.close()


def test_a_microphone_that_comes_back_does_not_cut_the_loudspeaker_off(
    fake: FakeSoundDevice,
) -> None:
    output = LoudspeakerOutput()
    refresh(fake)  # type: ignore[arg-type] # asserts that no stream is open
    assert fake.n_restarts == 1
    output.close()
    refresh(fake)  # type: ignore[arg-type]
    assert fake.n_restarts == 2


def test_a_loudspeaker_does_not_cut_a_microphone_off(fake: FakeSoundDevice) -> None:
    fake.plugged.append(FakeDevice("Microphone"))
    fake.seen.append(fake.plugged[1])
    source = MicrophoneSource("microphone")
    refresh(fake)  # type: ignore[arg-type]
    assert fake.n_restarts == 1
    source.close()


def test_a_device_that_does_not_start_is_one_line_and_let_go_of(fake: FakeSoundDevice) -> None:
    fake.seen[0].refuses_start = True
    with pytest.raises(DeviceError) as refused:
        LoudspeakerOutput()
    assert str(refused.value) == (
        "loudspeaker 'Speakers' cannot be opened: Error starting stream: Unanticipated host error;"
        " close other programs that use it or choose another: see python -m sounddevice"
    )
    assert fake.streams[0].closed
    refresh(fake)  # type: ignore[arg-type]
    assert fake.n_restarts == 2


def test_a_device_that_was_plugged_in_again_is_looked_for(fake: FakeSoundDevice) -> None:
    output = LoudspeakerOutput("speakers")
    output.close()
    fake.seen[0].busy = True  # PortAudio's word for one that is gone
    fake.plugged[:] = [FakeDevice("Microphone"), FakeDevice("Speakers", out_channels=1)]
    output.begin()
    assert fake.streams[-1].options["device"] == 1
    output.close()


def test_nothing_starts_again_while_a_device_is_being_opened(
    fake: FakeSoundDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts_seen = []
    found = loudspeaker.find_device

    def slowly(kind: Kind, wanted: str | int | None) -> Device:
        device = found(kind, wanted)
        in_thread(lambda: refresh(fake)).join(timeout=0.2)  # type: ignore[arg-type]
        restarts_seen.append(fake.n_restarts)
        return device

    monkeypatch.setattr(loudspeaker, "find_device", slowly)
    output = LoudspeakerOutput()
    assert restarts_seen == [1]
    output.close()


def is_muted(mute: Mute) -> bool:
    """Whether it sounds now."""
    now_s = time.monotonic()
    return any(end_s == math.inf for _, end_s in mute.spans(now_s, now_s))


def test_the_mute_lasts_until_the_device_has_played_all(fake: FakeSoundDevice) -> None:
    mute = Mute()
    output = LoudspeakerOutput(mute=mute)
    (stream,) = fake.streams
    stream.take(100)  # nothing was said
    assert mute.spans(0, math.inf) == []
    output.write(RAMP)
    stream.take(100, delay_s=0.5)
    assert is_muted(mute)
    stream.take(round(0.5 * RATE_HZ) - 1)
    assert is_muted(mute)
    stream.take(1)
    assert not is_muted(mute)
    ((begin_s, end_s),) = mute.spans(0, math.inf)
    assert begin_s + 0.3 <= end_s
    output.write(RAMP)
    stream.take(100, delay_s=-5.0)  # a clock that is wrong: the stream's own latency
    stream.take(round(0.1 * RATE_HZ) - 1)
    assert is_muted(mute)
    output.close()
    assert not is_muted(mute)


def test_wrong_devices_are_refused_in_one_line(fake: FakeSoundDevice) -> None:
    with pytest.raises(UsageError) as refused:
        LoudspeakerOutput("headset")
    assert str(refused.value) == "loudspeaker 'headset': there is none; see python -m sounddevice"
    fake.seen[0].busy = True
    with pytest.raises(
        DeviceError, match="loudspeaker 'Speakers' cannot be opened: Device unavail"
    ):
        LoudspeakerOutput()
    fake.seen[0] = FakeDevice("Microphone")
    with pytest.raises(DeviceError) as refused_too:
        LoudspeakerOutput()
    assert str(refused_too.value) == (
        "loudspeaker: this machine has none; plug one in or write the speech into a file"
    )


def test_a_loudspeaker_is_no_microphone(fake: FakeSoundDevice) -> None:
    fake.seen[0].channels = 0
    with pytest.raises(DeviceError, match="microphone: this machine has none"):
        MicrophoneSource()
