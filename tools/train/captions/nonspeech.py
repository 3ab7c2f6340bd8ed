# SPDX-License-Identifier: Apache-2.0
"""Sound that is not speech, on which nothing must be written: a generator per kind.

Also a program that fills shards with it:

    python nonspeech.py OUT_DIR [--hours 3] [--seed 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from features import log_mel, quantise
from numpy.typing import NDArray
from shape import SAMPLE_RATE_HZ
from shards import Recording, write_shard
from speech import PAUSE

Samples = NDArray[np.float32]
RMS = 0.07  # as stored speech; the gain is drawn in training
CLIP_S = 30.0
SHARD_CLIPS = 60


def time_axis(length_s: float) -> NDArray[np.float64]:
    """Sample times in seconds."""
    return np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def coloured(rng: np.random.Generator, length_s: float, exponent: float) -> Samples:
    """Noise with power falling as 1 / f^exponent: 0 white, 1 pink, 2 brown."""
    n = int(length_s * SAMPLE_RATE_HZ)
    spectrum = rng.standard_normal(n // 2 + 1) + 1j * rng.standard_normal(n // 2 + 1)
    hz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE_HZ)
    spectrum *= np.maximum(hz, 20.0) ** (-exponent / 2)
    return np.fft.irfft(spectrum, n).astype(np.float32)


def silence(rng: np.random.Generator, length_s: float) -> Samples:
    """Digital silence."""
    return np.zeros(int(length_s * SAMPLE_RATE_HZ), np.float32)


def white(rng: np.random.Generator, length_s: float) -> Samples:
    """White noise."""
    return coloured(rng, length_s, 0)


def brown(rng: np.random.Generator, length_s: float) -> Samples:
    """Brown noise: rumble."""
    return coloured(rng, length_s, 2)


def wind(rng: np.random.Generator, length_s: float) -> Samples:
    """Noise of some colour whose level wanders: wind, waves, passing cars, a fan."""
    noise = coloured(rng, length_s, rng.uniform(0.3, 2))
    knots = rng.normal(0, 0.8, int(length_s * rng.uniform(0.2, 3)) + 2)
    level = np.interp(np.linspace(0, len(knots) - 1, len(noise)), np.arange(len(knots)), knots)
    return (noise * np.exp(level)).astype(np.float32)


def hum(rng: np.random.Generator, length_s: float) -> Samples:
    """Mains hum of 50 or 60 Hz with falling harmonics, over a little noise."""
    t = time_axis(length_s)
    base_hz = rng.choice([50.0, 60.0]) * (1 + rng.normal(0, 0.001))
    fall = rng.uniform(0.5, 2)
    x = np.zeros_like(t)
    for n in range(1, int(rng.integers(4, 30))):
        x += np.sin(2 * np.pi * (base_hz * n * t + rng.random())) * rng.random() / n**fall
    noise = coloured(rng, length_s, 1)
    return (x + noise / noise.std() * x.std() * 10 ** rng.uniform(-4, -0.7)).astype(np.float32)


def clicks(rng: np.random.Generator, length_s: float) -> Samples:
    """Taps, ticks and bursts: a keyboard, a clock, rain on a window."""
    x = np.zeros(int(length_s * SAMPLE_RATE_HZ))
    rate_hz = np.exp(rng.uniform(np.log(0.3), np.log(30)))
    regular = rng.random() < 0.3
    at_s = rng.random() / rate_hz
    while at_s < length_s:
        decay_s = np.exp(rng.uniform(np.log(0.0003), np.log(0.06)))
        n = min(int(decay_s * 6 * SAMPLE_RATE_HZ) + 1, len(x))
        t = np.arange(n) / SAMPLE_RATE_HZ
        tone = np.sin(2 * np.pi * rng.uniform(150, 6000) * t) * rng.random()
        tap = (rng.standard_normal(n) * rng.random() + tone) * np.exp(-t / decay_s)
        start = int(at_s * SAMPLE_RATE_HZ)
        x[start : start + n] += (tap * rng.uniform(0.2, 1))[: len(x) - start]
        at_s += 1 / rate_hz if regular else rng.exponential(1 / rate_hz)
    floor = coloured(rng, length_s, 1)
    return (x + floor / floor.std() * 10 ** rng.uniform(-5, -2)).astype(np.float32)


def _note(rng: np.random.Generator, hz: float, length_s: float, timbre: float) -> Samples:
    """One note with harmonics, an envelope and at times vibrato."""
    t = time_axis(length_s)
    wobble = rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(4, 7) * t) / 6
    x = np.zeros_like(t)
    for n in range(1, 12):
        if hz * n < SAMPLE_RATE_HZ / 2:
            x += np.sin(2 * np.pi * n * hz * (t + wobble) + rng.random()) * timbre ** (n - 1)
    attack_s = rng.uniform(0.003, 0.08)
    decay = np.exp(-t / rng.uniform(0.15, 3)) if rng.random() < 0.7 else np.ones_like(t)
    fade = np.minimum(1, (length_s - t) / 0.02)
    return (x * np.minimum(1, t / attack_s) * decay * fade).astype(np.float32)


def tones(rng: np.random.Generator, length_s: float) -> Samples:
    """Music-like: melodies, chords or arpeggios in some scale, tempo and timbre."""
    x = np.zeros(int(length_s * SAMPLE_RATE_HZ), np.float32)
    root_hz, timbre = 55 * 2 ** rng.uniform(0, 3.5), rng.uniform(0.05, 0.85)
    scale = np.array([[0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]][rng.integers(2)])
    beat_s, style = rng.uniform(0.08, 0.9), rng.integers(4)
    at_s, step = rng.uniform(0, 0.5), 0
    while at_s < length_s - 0.05:
        note_s = min(beat_s * rng.choice([0.5, 1, 1, 2]), length_s - at_s)
        step = int(rng.integers(14)) if style != 1 else (step + 2) % 14
        chord = [step, step + 2, step + 4] if style == 2 else [step]
        for degree in chord:
            semitones = scale[degree % 7] + 12 * (degree // 7)
            note = _note(rng, root_hz * 2 ** (semitones / 12), note_s * 1.1, timbre)
            start = int(at_s * SAMPLE_RATE_HZ)
            x[start : start + len(note)] += note[: len(x) - start] * rng.uniform(0.4, 1)
        at_s += note_s * (1 if rng.random() < 0.9 else 2)
    return x


def beeps(rng: np.random.Generator, length_s: float) -> Samples:
    """Dial tones, alarms, sirens and sweeps."""
    t = time_axis(length_s)
    low, high = np.sort(np.exp(rng.uniform(np.log(120), np.log(5000), 2)))
    slow = rng.uniform(0.1, 4)
    glide = (1 + np.sin(2 * np.pi * slow * t)) / 2 if rng.random() < 0.5 else np.round(t * slow) % 2
    phase = np.cumsum(low + (high - low) * glide) / SAMPLE_RATE_HZ
    gate = ((t * rng.uniform(0.3, 5)) % 1 < rng.uniform(0.2, 1)).astype(float)
    second = np.sin(2 * np.pi * high * t) * rng.integers(2)
    return ((np.sin(2 * np.pi * phase) + second) * gate).astype(np.float32)


KINDS: dict[str, Callable[[np.random.Generator, float], Samples]] = {
    "silence": silence, "white": white, "brown": brown, "wind": wind, "hum": hum, "clicks": clicks,
    "tones": tones, "beeps": beeps,
}  # fmt: skip
SHARES = {"silence": 0.02, "white": 0.06, "brown": 0.06, "wind": 0.16, "hum": 0.12, "clicks": 0.18,
          "tones": 0.30, "beeps": 0.10}  # fmt: skip


def sound(kind: str, rng: np.random.Generator, length_s: float, rms: float = RMS) -> Samples:
    """Sound of one kind, scaled to `rms` (silence stays silent)."""
    x = KINDS[kind](rng, length_s)
    return (x * (rms / max(float(np.sqrt(np.mean(x**2))), 1e-9))).astype(np.float32)


def clip(rng: np.random.Generator) -> Recording:
    """Half a minute of a drawn kind, one time in four over another, as it is trained on."""
    kinds = list(rng.choice(list(SHARES), 2, p=list(SHARES.values())))
    x = sound(kinds[0], rng, CLIP_S)
    if rng.random() < 0.25:
        x = x + sound(kinds[1], rng, CLIP_S) * np.float32(10 ** rng.uniform(-1.5, 0))
    mel = quantise(log_mel(x))
    end_s = np.array([CLIP_S], np.float32)
    pause = np.array([PAUSE], np.uint8)
    return Recording("", f"sound:{kinds[0]}", mel, np.zeros(0, np.float32), pause, end_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(args.seed)
    n_clips = round(args.hours * 3600 / CLIP_S)
    for shard, start in enumerate(range(0, n_clips, SHARD_CLIPS)):
        clips = [clip(rng) for _ in range(min(SHARD_CLIPS, n_clips - start))]
        write_shard(clips, args.out_dir / f"sound_{shard:03d}.npz")


if __name__ == "__main__":
    main()
