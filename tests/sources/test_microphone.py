# SPDX-License-Identifier: Apache-2.0
"""The microphone on a fake PortAudio: losses are counted, lost devices come back, errors are clear.

The real PortAudio is in test_microphone_real.py.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from fake_sounddevice import RATE_HZ, FakeDevice, FakeSoundDevice, FakeStream

from edgestream.errors import DeviceError, UsageError
from edgestream.sources import microphone
from edgestream.sources.block import Block
from edgestream.sources.microphone import LOST, OVERFLOW, MicrophoneSource, _LossWatch
from edgestream.sources.microphones import find_device, list_devices
from edgestream.sources.sound_devices import OPEN

BLOCK = np.linspace(-0.5, 0.5, RATE_HZ // 50, dtype=np.float32)  # 20 ms


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSoundDevice:
    module = FakeSoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", module)  # type: ignore[arg-type]
    OPEN.clear()  # of other tests, which leave theirs open
    return module


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "LOST_AFTER_S", 0.15)
    monkeypatch.setattr(microphone, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(microphone, "RETRY_MAX_S", 0.1)


def next_loss(blocks: Iterator[Block]) -> Block:
    return next(block for block in blocks if block.lost_samples)


def wait_for_stream(fake: FakeSoundDevice, n: int) -> FakeStream:
    while len(fake.streams) <= n or not fake.streams[n].started:
        time.sleep(0.005)
    return fake.streams[n]


def test_samples_come_through_and_stop_ends_it(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    assert (source.rate_hz, source.live, source.name) == (RATE_HZ, True, "Built-in Microphone")
    fake.streams[0].feed(BLOCK)
    fake.streams[0].feed(-BLOCK)
    assert source.behind_ms == 40.0
    blocks = iter(source)
    block = next(blocks)
    assert np.array_equal(block.samples, np.concatenate([BLOCK, -BLOCK]))
    assert (block.lost_samples, block.reason, source.behind_ms) == (0, "", 0.0)
    threading.Timer(0.1, source.stop).start()
    begun_s = time.monotonic()
    assert list(blocks) == []
    assert time.monotonic() - begun_s < 2.0
    source.close()
    source.close()
    assert fake.streams[0].closed


def test_what_was_spoken_before_the_stop_is_heard(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    blocks = iter(source)
    fake.streams[0].feed(BLOCK)
    next(blocks)
    fake.streams[0].feed(-BLOCK)  # while the reader was busy
    source.stop()
    (last,) = blocks
    assert np.array_equal(last.samples, -BLOCK)
    assert fake.streams[0].closed


def test_waiting_costs_next_to_nothing(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    threading.Timer(0.5, source.stop).start()
    begun_s = time.process_time()
    assert list(source) == []
    assert time.process_time() - begun_s < 0.1


def test_block_handed_out_is_not_written_to_again(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    blocks = iter(source)
    fake.streams[0].feed(BLOCK)
    first = next(blocks)
    fake.streams[0].feed(-BLOCK)
    next(blocks)
    assert np.array_equal(first.samples, BLOCK)


def test_slow_reader_is_told_exactly_what_it_lost(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource(ring_s=0.5)
    capacity = source._ring.capacity
    fed = np.arange(30 * len(BLOCK), dtype=np.float32) / 20_000 % 1.0
    for at in range(0, len(fed), len(BLOCK)):
        fake.streams[0].feed(fed[at : at + len(BLOCK)])
    blocks = iter(source)
    assert np.array_equal(next(blocks).samples, fed[:capacity])
    loss = next(blocks)
    assert (loss.lost_samples, loss.reason) == (len(fed) - capacity, OVERFLOW)
    fake.streams[0].feed(BLOCK)
    after = next(blocks)
    assert np.array_equal(after.samples, BLOCK)
    assert after.lost_samples == 0


def test_overflow_in_the_device_is_counted_by_its_clock(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    blocks = iter(source)
    fake.streams[0].feed(BLOCK)
    fake.streams[0].feed(BLOCK, overflow_s=0.25)
    assert np.array_equal(next(blocks).samples, BLOCK)
    block = next(blocks)
    assert (block.lost_samples, block.reason) == (RATE_HZ // 4, OVERFLOW)
    assert np.array_equal(block.samples, BLOCK)


def test_channels_are_averaged_where_mono_is_refused(fake: FakeSoundDevice) -> None:
    fake.seen[0] = FakeDevice("Array", channels=4, open_channels=(4,))
    source = MicrophoneSource()
    frames = np.zeros((320, 4), np.float32)
    frames[:, 1] = 0.8
    fake.streams[0].feed(frames)
    assert np.allclose(next(iter(source)).samples, 0.2)


def test_not_a_number_is_silence(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    fake.streams[0].feed(np.array([0.5, np.nan, np.inf, -2.0], np.float32))
    assert next(iter(source)).samples.tolist() == [0.5, 0.0, 1.0, -1.0]


@pytest.mark.usefixtures("hurried")
def test_a_lost_microphone_comes_back_and_the_clock_ran_on(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource("built-in")
    begun_s = time.monotonic()
    fake.streams[0].feed(BLOCK)
    blocks = iter(source)
    assert len(next(blocks).samples) == len(BLOCK)
    heard_s = time.monotonic()
    fake.plugged = [FakeDevice("Webcam")]  # not the one that was asked for
    loss = next_loss(blocks)
    assert loss.reason == LOST
    assert len(loss.samples) == 0

    def plug_in_again() -> None:
        fake.plugged = [FakeDevice("Webcam"), FakeDevice("Built-in Microphone")]
        stream = wait_for_stream(fake, 1)
        time.sleep(0.05)
        stream.feed(held)

    held = np.tile(BLOCK, 20)  # what a sound system kept for us while it opened
    threading.Timer(0.7, plug_in_again).start()
    back = next(blocks)
    away_s = time.monotonic() - heard_s - len(held) / RATE_HZ
    assert fake.streams[1].options["device"] == 1
    assert fake.streams[0].closed
    assert back.reason == LOST
    assert np.array_equal(back.samples, held)
    assert abs((loss.lost_samples + back.lost_samples) / RATE_HZ - away_s) < 0.1
    fake.streams[1].feed(BLOCK)
    assert next(blocks).lost_samples == 0
    assert fake.n_restarts > 2
    assert time.monotonic() - begun_s < 5
    source.close()


@pytest.mark.usefixtures("hurried")
def test_without_a_choice_the_new_default_is_taken_at_its_own_rate(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    headset = FakeDevice("Headset", rate_hz=48_000, open_rates_hz=(48_000,))
    fake.plugged = [headset]
    blocks = iter(source)
    next_loss(blocks)
    fed = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)

    def speak() -> None:
        wait_for_stream(fake, 1).feed(fed)

    threading.Thread(target=speak).start()
    block = next(blocks)
    assert (source.rate_hz, block.rate_hz) == (RATE_HZ, 48_000)
    assert np.array_equal(block.samples, fed.astype(np.float32))


@pytest.mark.usefixtures("hurried")
def test_stop_while_the_microphone_is_away(fake: FakeSoundDevice) -> None:
    source = MicrophoneSource()
    fake.plugged = []
    threading.Timer(0.5, source.stop).start()
    blocks = list(source)
    assert [block.reason for block in blocks] == [LOST]
    source.close()


def test_unadmitted_losses_are_found_and_stalls_are_not_losses() -> None:
    watch = _LossWatch(RATE_HZ)
    found, now_s, held_back = [], 0.0, 0
    for n in range(2_000):  # 40 s of 20 ms blocks
        now_s += 0.02 * (1 + 100e-6)  # the device's clock is 100 ppm slow
        dropped = 500 <= n < 550 and n % 2 == 0  # half a second is lost here
        held_back += 0 if dropped else len(BLOCK)
        device_stalls = n % 300 > 250  # for a second; nothing is lost
        reader_stalls = 1_000 <= n < 1_075
        if not reader_stalls:
            found.append(watch.push(0 if device_stalls else held_back, now_s))
            held_back = held_back if device_stalls else 0
    assert sum(found) == pytest.approx(0.5 * RATE_HZ, abs=0.02 * RATE_HZ)
    assert sum(1 for count in found if count) <= 2


def test_list_and_find(fake: FakeSoundDevice) -> None:
    fake.seen = [
        FakeDevice("Speakers", channels=0),
        FakeDevice("USB Microphone", rate_hz=48_000),
        FakeDevice("USB Microphone Pro", hostapi=1),
        FakeDevice("Webcam"),
        FakeDevice("Webcam", hostapi=1),
    ]
    fake.default = 3
    assert [(d.index, d.host, d.default) for d in list_devices()] == [
        (1, "ALSA", False),
        (2, "JACK", False),
        (3, "ALSA", True),
        (4, "JACK", False),
    ]
    assert find_device(None).index == 3
    assert find_device(2).index == find_device("2").index == 2
    assert find_device("usb microphone").index == 1  # whole names come first
    assert find_device("PRO").index == 2
    assert find_device("webcam").index == 3  # the same thing twice: the default's sound system
    with pytest.raises(
        UsageError, match=r"may be any of: 1 USB .* \(ALSA\); 2 USB .* Pro \(JACK\)"
    ):
        find_device("usb")
    for wanted in ("piano", "0", 17):  # 0 cannot be listened to
        with pytest.raises(UsageError, match=f"microphone '{wanted}': there is none; see edgestr"):
            find_device(wanted)


def test_no_microphone_at_all(fake: FakeSoundDevice) -> None:
    fake.seen, fake.default = [], None
    assert list_devices() == []
    with pytest.raises(DeviceError, match="this machine has none; plug one in"):
        MicrophoneSource()


def test_no_default_takes_the_first(fake: FakeSoundDevice) -> None:
    fake.default = None
    assert find_device(None).index == 0


def test_busy_microphone(fake: FakeSoundDevice) -> None:
    fake.seen[0].busy = True
    with pytest.raises(DeviceError, match=r"'Built-in Microphone' cannot be opened: Device unava"):
        MicrophoneSource()


def test_missing_portaudio(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoLibrary:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    with pytest.raises(DeviceError, match=r"PortAudio library is missing; .*libportaudio2"):
        list_devices()


def test_a_microphone_that_does_not_start_is_one_line_and_let_go_of(fake: FakeSoundDevice) -> None:
    fake.seen[0].refuses_start = True
    with pytest.raises(DeviceError, match=r"cannot be opened: Error starting stream: .*; close "):
        MicrophoneSource()
    assert fake.streams[0].closed
    assert not OPEN
