# SPDX-License-Identifier: Apache-2.0
"""Several channels to one: dead, damaged and contrary ones do not silence the others."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import soundfile
from fake_sounddevice import RATE_HZ, FakeDevice, FakeSoundDevice
from hypothesis import given
from hypothesis import strategies as st

from edgestream.sources import microphone
from edgestream.sources.channels import Downmix
from edgestream.sources.microphone import MUTED, MicrophoneSource
from edgestream.sources.sound_file import FileSource

SECONDS = 2


def tone(hz=440.0, level=0.5):
    t = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def mixed(*channels, cuts=()):
    frames = np.stack(channels, axis=1).astype(np.float32)
    mix = Downmix(frames.shape[1], RATE_HZ)
    parts = [mix.push(part) for part in np.split(frames, cuts)]
    return np.concatenate([*parts, mix.finish()]), mix.take_notice()


def rms_db(samples, of):
    return 10 * np.log10(
        np.mean(np.square(samples, dtype=float)) / np.mean(np.square(of, dtype=float))
    )


SILENCE = np.zeros_like(tone())
NUMBERLESS = [np.nan, np.inf, -np.inf, 3e38, -3e38]


@pytest.mark.parametrize("bad", NUMBERLESS)
@pytest.mark.parametrize("share", [1, 100])
def test_a_channel_of_no_numbers_does_not_silence_the_other(bad, share):
    other = SILENCE.copy()
    other[::share] = bad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        samples, _ = mixed(tone(), other)
    assert np.isfinite(samples).all()
    assert np.corrcoef(samples, tone())[0, 1] > 0.3
    if share == 1:
        assert abs(rms_db(samples, tone())) < 6.1


@pytest.mark.parametrize("n_channels", [2, 4, 8, 32])
@pytest.mark.parametrize("alive", [0, -1])
def test_one_live_channel_is_about_as_loud_as_it_is(n_channels, alive):
    channels = [SILENCE] * n_channels
    channels[alive] = tone()
    samples, notice = mixed(*channels)
    assert abs(rms_db(samples, tone())) < 0.1
    assert notice == ""


def test_channels_that_are_alike_are_one_of_them():
    for n_channels in (2, 3, 8):
        assert np.abs(mixed(*[tone()] * n_channels)[0] - tone()).max() < 1e-6


def test_channels_in_antiphase_are_heard_and_told():
    samples, notice = mixed(tone(), -tone())
    assert abs(rms_db(samples, tone())) < 0.1
    assert "cancel each other" in notice
    assert "channel 1" in notice


def test_a_quieter_channel_in_antiphase_too():
    samples, _ = mixed(0.9 * tone(), -tone())
    assert abs(rms_db(samples, tone())) < 0.1


def test_two_people_with_a_microphone_each_are_both_heard_at_once():
    first, second = tone(300), tone(700)
    half = len(first) // 2
    first[half:], second[:half] = 0, 0
    samples, _ = mixed(first, second)
    for part, own in ((slice(0, half), first), (slice(half, half + 1600), second)):
        assert abs(rms_db(samples[part], own[part])) < 3.1  # from the first tenth of a second on


def test_a_stuck_channel_adds_nothing():
    stuck = np.full_like(tone(), 0.9)
    samples, _ = mixed(tone(), stuck, SILENCE, SILENCE, SILENCE, SILENCE, SILENCE, SILENCE)
    assert abs(rms_db(samples, tone())) < 0.1
    assert abs(samples.mean()) < 0.01


def test_stereo_of_two_noises_is_averaged():
    random = np.random.default_rng(0)
    left, right = 0.1 * random.standard_normal((2, SECONDS * RATE_HZ)).astype(np.float32)
    assert np.abs(mixed(left, right)[0] - (left + right) / 2).max() < 1e-6


@given(st.lists(st.integers(0, SECONDS * RATE_HZ), max_size=8))
def test_any_cutting_gives_the_same(cuts):
    random = np.random.default_rng(1)
    left = random.standard_normal(SECONDS * RATE_HZ).astype(np.float32) * 0.2
    left[: RATE_HZ // 2] = np.nan
    channels = left, -left, np.roll(left, 999)
    assert np.array_equal(mixed(*channels, cuts=sorted(cuts))[0], mixed(*channels)[0])


def test_files_are_heard_by_their_live_channel(tmp_path):
    path = tmp_path / "one_of_eight.wav"
    soundfile.write(path, np.stack([SILENCE] * 7 + [tone()], axis=1), RATE_HZ, subtype="FLOAT")
    source = FileSource(path, pace=False)
    samples = np.concatenate([block.samples for block in source])
    source.close()
    assert np.abs(samples - tone()).max() < 1e-5


def test_the_command_tells_of_channels_that_cancel(tmp_path):
    path = tmp_path / "antiphase.wav"
    soundfile.write(path, np.stack([tone(), -tone()], axis=1), RATE_HZ)
    command = [
        sys.executable,
        "-m",
        "edgestream",
        "listen",
        "-m",
        "synthetic-en",
        str(path),
        "--fast",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr.count("\n") == 1
    assert "cancel each other" in done.stderr
    done = subprocess.run([*command, "--format", "jsonl"], capture_output=True, text=True)
    assert '"type": "notice"' in done.stdout
    assert done.stderr == ""


# Microphones.


@pytest.fixture
def fake(monkeypatch):
    module = FakeSoundDevice([FakeDevice("Array", channels=8, open_channels=(8,))])
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_an_array_of_microphones_is_heard_by_the_one_that_lives(fake):
    source = MicrophoneSource(ring_s=10)
    fake.streams[0].feed(np.stack([SILENCE] * 7 + [tone()], axis=1))
    source.stop()
    samples = np.concatenate([block.samples for block in source])
    assert np.abs(samples - tone()).max() < 1e-5


def test_a_microphone_of_zeros_is_told_once_until_it_sounds(fake, monkeypatch):
    monkeypatch.setattr(microphone, "DIGITAL_SILENCE_S", 1.0)
    source = MicrophoneSource(ring_s=10)
    blocks = iter(source)
    notices = []
    for level in (0, 0, 0, 1, 0, 0, 0):
        fake.streams[0].feed(level * np.stack([tone()] * 8, axis=1))
        notices.append(next(blocks).notice)
    source.stop()
    list(blocks)
    assert notices == [MUTED, "", "", "", MUTED, "", ""]
