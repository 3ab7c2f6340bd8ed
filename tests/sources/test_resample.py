# SPDX-License-Identifier: Apache-2.0
"""Resampling: the streaming law, length, pitch and what a filter must not let through."""

from __future__ import annotations

import numpy as np
import pytest

from edgestream.sources.block import Samples
from edgestream.sources.resample import Resampler

MODEL_HZ = 16_000
RATES_HZ = (8_000, 11_025, 22_050, 44_100, 48_000, 96_000)


def tone(hz: float, rate_hz: int, seconds: float = 1.0) -> Samples:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def resampled(samples: Samples, in_hz: int, sizes: tuple[int, ...]) -> Samples:
    resampler = Resampler(in_hz, MODEL_HZ)
    out, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        out.append(resampler.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate([*out, resampler.finish()])


@pytest.mark.parametrize("in_hz", RATES_HZ)
@pytest.mark.parametrize("sizes", [(1,), (17, 0, 331), (4_801,)])
def test_any_cutting_gives_the_same(in_hz: int, sizes: tuple[int, ...]) -> None:
    noise = np.random.default_rng(in_hz).standard_normal(in_hz // 4).astype(np.float32)
    whole = resampled(noise, in_hz, (len(noise),))
    assert len(whole) == round(len(noise) * MODEL_HZ / in_hz)
    assert np.array_equal(resampled(noise, in_hz, sizes), whole)


@pytest.mark.parametrize("in_hz", RATES_HZ)
def test_a_tone_keeps_its_pitch_time_and_strength(in_hz: int) -> None:
    out = resampled(tone(1_000, in_hz), in_hz, (480,))
    inner = slice(800, -800)  # the ends of the tone are steps, which no filter can keep
    assert np.abs(out - tone(1_000, MODEL_HZ))[inner].max() < 1e-3


@pytest.mark.parametrize("in_hz", [44_100, 48_000, 96_000])
def test_what_the_model_rate_cannot_carry_is_removed(in_hz: int) -> None:
    out = resampled(tone(11_000, in_hz), in_hz, (480,))
    assert np.abs(out[800:-800]).max() < 1e-4


def test_equal_rates_change_nothing() -> None:
    resampler = Resampler(MODEL_HZ, MODEL_HZ)
    samples = tone(440, MODEL_HZ)
    assert resampler.push(samples) is samples
    assert len(resampler.finish()) == 0


def test_reset_forgets() -> None:
    resampler = Resampler(48_000, MODEL_HZ)
    fresh = np.concatenate([resampler.push(tone(440, 48_000)), resampler.finish()])
    for before in (tone(3_000, 48_000, 0.3), tone(50, 48_000, 0.01)):
        resampler.reset()
        resampler.push(before)
        resampler.reset()
        again = np.concatenate([resampler.push(tone(440, 48_000)), resampler.finish()])
        assert np.array_equal(again, fresh)


@pytest.mark.parametrize("in_hz", [44_100, 48_000])
def test_delay_in_the_filter_is_small(in_hz: int) -> None:
    resampler = Resampler(in_hz, MODEL_HZ)
    block = np.zeros(in_hz // 25, np.float32)
    n_out, worst_s = 0, 0.0
    for n_blocks in range(1, 100):
        n_out += len(resampler.push(block))
        worst_s = max(worst_s, n_blocks / 25 - n_out / MODEL_HZ)
    assert worst_s < 0.05


def test_a_change_of_rate_is_two_sounds_in_a_row() -> None:
    resampler = Resampler(48_000, MODEL_HZ)
    parts = [resampler.push(tone(440, 48_000)), resampler.change_rate(44_100)]
    parts += [resampler.push(tone(440, 44_100)), resampler.change_rate(MODEL_HZ)]
    parts += [resampler.push(tone(440, MODEL_HZ)), resampler.change_rate(MODEL_HZ)]
    alone = [resampled(tone(440, hz), hz, (480,)) for hz in (48_000, 44_100, MODEL_HZ)]
    assert np.array_equal(np.concatenate(parts), np.concatenate(alone))
