# SPDX-License-Identifier: Apache-2.0
"""Sounds that are not speech, in which no word may be found, minute by minute.

Most are made by program, apart from the sounds that the built-in synthetic model was trained on, so
that it is not asked for what it has learned by heart; some are recordings, over and over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from edgestream.scoring.clips import BUNDLED, RATE_HZ, read_samples
from edgestream.sources.block import Samples

SEGMENT_S = 15.0  # then the parameters are drawn anew and the level changes
LEVELS_DBFS = (-60.0, -40.0, -25.0, -12.0)  # RMS: barely there to loud
SEED = 5
NOISES = BUNDLED / "noises"
Wave = NDArray[np.float64]
Maker = Callable[[np.random.Generator, int], Wave]


def _silence(rng: np.random.Generator, n: int) -> Wave:
    return np.zeros(n)


def _white(rng: np.random.Generator, n: int) -> Wave:
    return rng.standard_normal(n)


def _brown(rng: np.random.Generator, n: int) -> Wave:
    """Power falls with the square of frequency, from 10 Hz on."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    return np.fft.irfft(spectrum / np.maximum(hz, 10.0), n)


def _hum(rng: np.random.Generator, n: int) -> Wave:
    """Mains at 50 or 60 Hz with random harmonics, and a hiss 30 dB below."""
    t = np.arange(n) / RATE_HZ
    mains_hz = rng.choice([50.0, 60.0])
    wave = np.zeros(n)
    for harmonic in range(1, 16):
        strength = rng.random() / harmonic ** rng.uniform(0.5, 1.5)
        wave += strength * np.sin(2 * np.pi * (mains_hz * harmonic * t + rng.random()))
    return wave + 10 ** (-30 / 20) * float(wave.std()) * rng.standard_normal(n)


def _clicks(rng: np.random.Generator, n: int) -> Wave:
    """Keys, ticks and knocks: short decaying bursts of noise or of a resonance."""
    wave = np.zeros(n)
    for start in rng.integers(0, n, int(n / RATE_HZ * rng.uniform(0.5, 15))):
        ring_samples = int(RATE_HZ * rng.uniform(0.001, 0.04))
        t = np.arange(min(6 * ring_samples, n - start))
        tone = np.sin(2 * np.pi * rng.uniform(200, 5000) * t / RATE_HZ)
        body = tone if rng.random() < 0.5 else rng.standard_normal(len(t))
        wave[start : start + len(t)] += rng.uniform(0.2, 1) * body * np.exp(-t / ring_samples)
    return wave


def _tones(rng: np.random.Generator, n: int) -> Wave:
    """Music-like: notes of a scale as a melody, an arpeggio or chords, with overtones."""
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.random() < 0.5 else [0, 3, 5, 7, 10])
    root_hz = 55.0 * 2 ** rng.uniform(1, 3)
    beat_samples = int(RATE_HZ * rng.uniform(0.1, 0.7))
    chord = [0, 2, 4] if rng.random() < 0.4 else [0]
    falling = rng.uniform(0.2, 0.8)  # strength of each overtone by that of the one below
    arpeggio = rng.random() < 0.3
    wave = np.zeros(n)
    for i, start in enumerate(range(0, n, beat_samples)):
        t = np.arange(min(int(1.2 * beat_samples), n - start)) / RATE_HZ
        degree = 2 * i % 8 if arpeggio else int(rng.integers(0, 10))
        for step in chord:
            octave, place = divmod(degree + step, len(scale))
            hz = root_hz * 2 ** (octave + scale[place] / 12)
            overtones = range(1, min(9, int(RATE_HZ / 2 / hz) + 1))
            note = sum(falling**k * np.sin(2 * np.pi * k * hz * t) for k in overtones)
            wave[start : start + len(t)] += note * np.exp(-t / 0.4) * np.minimum(1, t / 0.01)
    return wave


def _wind(rng: np.random.Generator, n: int) -> Wave:
    """Gusts at a microphone: a rumble below some 300 Hz that swells and falls within seconds."""
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    shape = 1 / (1 + (hz / rng.uniform(80, 300)) ** 2)
    rumble = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * shape, n)
    slow = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * (hz < rng.uniform(0.3, 1.5)), n)
    return rumble * np.exp(1.2 * slow / max(float(slow.std()), 1e-9))


def _beeps(rng: np.random.Generator, n: int) -> Wave:
    """Machines that want something: pure tones, in groups, at one or two pitches."""
    pitches_hz = rng.uniform(400, 3000, int(rng.integers(1, 3)))
    beep_samples = int(RATE_HZ * rng.uniform(0.05, 0.5))
    pause_samples = int(RATE_HZ * rng.uniform(0.05, 1.5))
    wave = np.zeros(n)
    for i, start in enumerate(range(0, n, beep_samples + pause_samples)):
        t = np.arange(min(beep_samples, n - start)) / RATE_HZ
        edges = np.minimum(1, np.minimum(t, t[::-1]) / 0.005)
        hz = pitches_hz[i % len(pitches_hz)]
        wave[start : start + len(t)] = edges * np.sin(2 * np.pi * hz * t)
    return wave


@cache
def recorded(name: str) -> Wave:
    """A recording of the folder `noises`, float64 [n] at RATE_HZ."""
    return read_samples(NOISES / f"{name}.flac").astype(np.float64)


def _repeated(name: str, rng: np.random.Generator, n: int) -> Wave:
    """From a random place on, over and over."""
    wave = recorded(name)
    return np.resize(np.roll(wave, -int(rng.integers(len(wave)))), n)


KINDS: dict[str, Maker] = {
    "silence": _silence,
    "white noise": _white,
    "brown noise": _brown,
    "hum": _hum,
    "clicks": _clicks,
    "music-like tones": _tones,
    "wind": _wind,
    "beeps": _beeps,
    "water, recorded": partial(_repeated, "water"),
    "keyboard, recorded": partial(_repeated, "keyboard"),
    "helicopter, recorded": partial(_repeated, "helicopter"),
    "doors, recorded": partial(_repeated, "doors"),
}


def sound(kind: str, minutes: float) -> Iterator[Samples]:
    """Segments of float32 [n] at RATE_HZ of one of KINDS, the levels of LEVELS_DBFS in turn."""
    rng = np.random.default_rng([SEED, list(KINDS).index(kind)])
    n_left = round(minutes * 60 * RATE_HZ)
    turn = 0
    while n_left > 0:
        n = min(n_left, round(SEGMENT_S * RATE_HZ))
        wave = KINDS[kind](rng, n)
        rms = 10 ** (LEVELS_DBFS[turn % len(LEVELS_DBFS)] / 20)
        wave *= rms / max(float(np.sqrt(np.mean(wave**2))), 1e-9)
        yield np.clip(wave, -1, 1).astype(np.float32)
        n_left -= n
        turn += 1
