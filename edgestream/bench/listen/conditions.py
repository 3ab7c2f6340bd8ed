# SPDX-License-Identifier: Apache-2.0
"""Speech as it is outside a studio: noise, a room, a telephone, too quiet, too loud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgestream.bench.listen.sounds import recorded
from edgestream.scoring.clips import RATE_HZ, Clip
from edgestream.sources.block import Samples
from edgestream.sources.resample import resampled

SEED = 17
BACKGROUNDS = ("water", "keyboard", "helicopter")  # behind one clip after the other
RT60_S = 0.5  # in which the sound of the room falls by 60 dB
DIRECT_TO_ROOM_DB = 0.0  # energy of the direct sound over that of the room's, at some 2 m
PHONE_HZ = 8000
PHONE_BAND_HZ = (300.0, 3400.0)
QUIET_DBFS = -40.0
CLIPPED_DB = 18.0  # too loud for what the samples can hold
Wave = NDArray[np.float64]
Change = Callable[[Wave, int], Wave]  # a clip's samples and its number


def _rms(wave: Wave) -> float:
    return max(float(np.sqrt(np.mean(wave**2))), 1e-9)


def _behind(wave: Wave, number: int, *, noise_db: float) -> Wave:
    """A recorded noise behind it, `noise_db` below its level over the whole clip."""
    noise = np.resize(recorded(BACKGROUNDS[number % len(BACKGROUNDS)]), len(wave))
    return wave + noise * (_rms(wave) / _rms(noise)) * 10 ** (-noise_db / 20)


def room_response(seed: int) -> Wave:
    """Direct sound and noise that decays: the late part of a room (Moorer 1979), [n] at RATE_HZ."""
    t = np.arange(round(RT60_S * RATE_HZ)) / RATE_HZ
    tail = np.random.default_rng([SEED, seed]).standard_normal(len(t)) * 10 ** (-3 * t / RT60_S)
    tail[: round(0.002 * RATE_HZ)] = 0  # the nearest wall is a third of a metre away
    tail *= 10 ** (-DIRECT_TO_ROOM_DB / 20) / float(np.sqrt(np.sum(tail**2)))
    tail[0] = 1
    return tail


def _in_a_room(wave: Wave, number: int) -> Wave:
    response = room_response(number)
    n = len(wave) + len(response) - 1
    spectrum = np.fft.rfft(wave, n) * np.fft.rfft(response, n)
    return np.fft.irfft(spectrum, n)[: len(wave)]


def _on_the_phone(wave: Wave, number: int) -> Wave:
    """The band of a telephone, through its sample rate and eight bits by the mu-law (G.711)."""
    hz = np.fft.rfftfreq(len(wave), 1 / RATE_HZ)
    inside = (hz >= PHONE_BAND_HZ[0]) & (hz <= PHONE_BAND_HZ[1])
    band = np.fft.irfft(np.fft.rfft(wave) * inside, len(wave)).astype(np.float32)
    phone = resampled(band, RATE_HZ, PHONE_HZ)
    law = np.sign(phone) * np.log1p(255 * np.minimum(np.abs(phone), 1)) / np.log(256)
    heard = np.round(law * 127) / 127
    heard = (np.sign(heard) * np.expm1(np.abs(heard) * np.log(256)) / 255).astype(np.float32)
    return resampled(heard, PHONE_HZ, RATE_HZ).astype(np.float64)


def _quiet(wave: Wave, number: int) -> Wave:
    """In sixteen bits, as a sound card has it."""
    return np.round(wave * 10 ** (QUIET_DBFS / 20) / _rms(wave) * 32768) / 32768


def _too_loud(wave: Wave, number: int) -> Wave:
    """The loudest sample `CLIPPED_DB` above what fits."""
    return wave * 10 ** (CLIPPED_DB / 20) / max(float(np.abs(wave).max()), 1e-9)


CONDITIONS: dict[str, Change] = {
    "noise at 10 dB": partial(_behind, noise_db=10.0),
    "noise at 5 dB": partial(_behind, noise_db=5.0),
    "a room, RT60 0.5 s": _in_a_room,
    "telephone": _on_the_phone,
    "quiet, -40 dBFS": _quiet,
    "clipped by 18 dB": _too_loud,
}


def changed(clips: list[Clip], condition: str) -> list[Clip]:
    """The same clips under one of CONDITIONS; words and their ends stay."""
    change = CONDITIONS[condition]
    return [
        replace(clip, samples=_samples(change(clip.samples.astype(np.float64), number)))
        for number, clip in enumerate(clips)
    ]


def _samples(wave: Wave) -> Samples:
    return np.clip(wave, -1, 1).astype(np.float32)
