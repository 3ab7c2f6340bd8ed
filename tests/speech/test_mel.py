# SPDX-License-Identifier: Apache-2.0
"""Log-mel: a float64 reference, the same bits under any cutting, causality, bad samples."""

from __future__ import annotations

import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream._native import LogMel, MelScale

SPEECH = Path(__file__).resolve().parents[3] / "shared" / "audio" / "jfk.wav"
RATE_HZ = 16_000
BOUND = 1e-5
# window, hop, fft, bins: the default model, Whisper's shape, odd sizes, a hop beyond the window.
SHAPES = ((400, 160, 512, 80), (400, 160, 400, 80), (331, 101, 360, 23), (100, 250, 128, 12))


def make(shape: tuple[int, int, int, int]) -> LogMel:
    window, hop, fft, bins = shape
    return LogMel(window_samples=window, hop_samples=hop, fft_size=fft, n_bins=bins)


def filterbank(fft: int, bins: int, low_hz: float = 20.0, high_hz: float = 7600.0):
    """HTK triangles scaled to sum 1; an empty one becomes its nearest FFT bin."""
    mel = np.linspace(*(2595 * np.log10(1 + np.array([low_hz, high_hz]) / 700)), bins + 2)
    corners_hz = 700 * (10 ** (mel / 2595) - 1)
    fft_hz = np.arange(fft // 2 + 1) * RATE_HZ / fft
    rows = np.zeros((bins, len(fft_hz)))
    for row, (low, centre, high) in zip(
        rows, zip(corners_hz, corners_hz[1:], corners_hz[2:], strict=False), strict=False
    ):
        rise, fall = (fft_hz - low) / (centre - low), (high - fft_hz) / (high - centre)
        row[:] = np.maximum(0, np.minimum(rise, fall))
        if row.sum() < 1e-3:
            row[:] = 0
            row[round(centre * fft / RATE_HZ)] = 1
        row /= row.sum()
    return rows


def reference(samples, shape: tuple[int, int, int, int], floor: float = 1e-5):
    """All frames of a whole stream in float64."""
    window, hop, fft, bins = shape
    n_frames = -(-len(samples) // hop)
    front = np.zeros(max(0, window - hop))
    padded = np.concatenate([front, samples.astype(np.float64), np.zeros(hop)])
    starts = np.arange(n_frames) * hop + max(0, hop - window)
    cut = np.stack([padded[s : s + window] for s in starts]) * np.hanning(window + 1)[:window]
    power = np.abs(np.fft.rfft(cut, fft)) ** 2
    return np.log(power @ filterbank(fft, bins).T + floor)


def whole(samples, shape: tuple[int, int, int, int]):
    mel = make(shape)
    return np.concatenate([mel.push(samples), mel.finish()])


def signals():
    t = np.arange(RATE_HZ) / RATE_HZ
    random = np.random.default_rng(0)
    impulse = np.zeros(RATE_HZ)
    impulse[5000] = 1.0
    return {
        "silence": np.zeros(RATE_HZ),
        "tone": np.sin(2 * np.pi * 1000 * t),
        "tone between bins": np.sin(2 * np.pi * 3217.3 * t),
        "square": np.sign(np.sin(2 * np.pi * 440 * t)),
        "sweep": np.sin(2 * np.pi * 3900 * t * t),
        "constant": np.ones(RATE_HZ),
        "impulse": impulse,
        "noise": random.uniform(-1, 1, RATE_HZ),
        "one bit": random.integers(-1, 2, RATE_HZ) / 32768,
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", list(signals()))
def test_agrees_with_float64(name: str, shape: tuple[int, int, int, int]) -> None:
    samples = signals()[name].astype(np.float32)
    frames, expected = whole(samples, shape), reference(samples, shape)
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() <= BOUND


@pytest.mark.skipif(not SPEECH.exists(), reason="no human speech beside the checkout")
def test_agrees_with_float64_on_speech() -> None:
    with wave.open(str(SPEECH)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    samples = pcm.astype(np.float32) / 32768
    frames, expected = whole(samples, SHAPES[0]), reference(samples, SHAPES[0])
    assert len(frames) > 1000
    assert np.abs(frames - expected).max() <= BOUND


def cut_at(samples, sizes: list[int], mel: LogMel):
    """Frames of the stream pushed in the given sizes, over and over."""
    frames, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        frames.append(mel.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate([*frames, mel.finish()])


@given(
    st.lists(st.integers(0, 1500), min_size=1, max_size=8).filter(any),
    st.integers(1, 4000),
    st.sampled_from(SHAPES),
)
@settings(max_examples=60, deadline=None)
def test_any_cutting_gives_the_same_bits(sizes: list[int], n: int, shape) -> None:
    samples = np.random.default_rng(n).uniform(-1, 1, n).astype(np.float32)
    assert np.array_equal(cut_at(samples, sizes, make(shape)), whole(samples, shape))


@pytest.mark.parametrize("n", [1, 159, 160, 161, 399, 400, 1000])
def test_frames_of_a_prefix_are_a_prefix(n: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, 3200).astype(np.float32)
    frames = make(SHAPES[0]).push(samples[:n])
    assert len(frames) == n // 160
    assert np.array_equal(frames, make(SHAPES[0]).push(samples)[: len(frames)])


def test_nonfinite_samples_count_as_zero() -> None:
    samples = np.random.default_rng(2).uniform(-1, 1, 3200).astype(np.float32)
    broken = samples.copy()
    broken[[7, 1000, 3199]] = [np.nan, np.inf, -np.inf]
    samples[[7, 1000, 3199]] = 0
    mel = make(SHAPES[0])
    assert np.array_equal(mel.push(broken), make(SHAPES[0]).push(samples))
    assert mel.nonfinite_samples == 3


def test_finish_closes_until_reset() -> None:
    mel = LogMel()
    assert mel.push(np.zeros(0, np.float32)).shape == (0, 80)
    assert mel.finish().shape == (0, 80)
    with pytest.raises(RuntimeError, match="call reset first"):
        mel.push(np.zeros(1, np.float32))
    mel.reset()
    mel.push(np.zeros(1, np.float32))
    assert mel.finish().tolist() == [[mel.silence_value] * 80]


@pytest.mark.parametrize(
    "samples", [np.zeros(8), np.zeros(8, np.int16), np.zeros((2, 4), np.float32), [0.0], None]
)
def test_only_float32_vectors_are_taken(samples: object) -> None:
    with pytest.raises(TypeError):
        LogMel().push(samples)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hop_samples": 0}, "hop_samples is 0; give 1 to"),
        ({"window_samples": 513}, "fft_size is 512; give 513 to"),
        ({"fft_size": 514}, "fft: size is 514"),
        ({"max_hz": 8001.0}, "rising band within 0 to 8000"),
        ({"min_hz": float("nan")}, "rising band"),
        ({"log_floor": -1.0}, "log_floor is -1"),
    ],
)
def test_wrong_numbers_are_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogMel(**wrong)  # type: ignore[arg-type]


def test_streams_in_threads_do_not_touch_each_other() -> None:
    samples = np.random.default_rng(3).uniform(-1, 1, (4, 20 * RATE_HZ)).astype(np.float32)
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda x: cut_at(x, [509], LogMel()), samples))
    for got, x in zip(frames, samples, strict=True):
        assert np.array_equal(got, whole(x, SHAPES[0]))


def slaney_filterbank(fft: int, bins: int):
    """librosa's triangles (htk=False, norm="slaney") from 0 to 8000 Hz."""
    hz = np.arange(8001.0)
    mel_of_hz = np.where(
        hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1) / 1000) / np.log(6.4)
    )
    corners_mel = np.linspace(0, mel_of_hz[-1], bins + 2)
    above_hz = 1000 * np.exp((corners_mel - 15) * np.log(6.4) / 27)
    corners_hz = np.where(corners_mel < 15, corners_mel * 200 / 3, above_hz)
    fft_hz = np.arange(fft // 2 + 1) * RATE_HZ / fft
    low, centre, high = (corners_hz[i : bins + i, None] for i in range(3))
    triangles = np.minimum((fft_hz - low) / (centre - low), (high - fft_hz) / (high - centre))
    return np.maximum(0, triangles) * 2 / (high - low)


@pytest.mark.parametrize("bins", [80, 128])
def test_the_slaney_scale_is_that_of_whisper(bins):
    mel = LogMel(
        fft_size=400, n_bins=bins, min_hz=0, max_hz=8000, log_floor=1e-10, scale=MelScale.slaney
    )
    for name, samples in signals().items():
        frames = np.concatenate([mel.push(samples.astype(np.float32)), mel.finish()])
        padded = np.concatenate([np.zeros(240), samples.astype(np.float32), np.zeros(160)])
        cut = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][: len(frames)]
        power = np.abs(np.fft.rfft(cut * np.hanning(401)[:400])) ** 2
        expected = np.log10(np.maximum(power @ slaney_filterbank(400, bins).T, 1e-10))
        assert np.abs(frames - expected).max() < BOUND, name
        mel.reset()
    assert mel.silence_value == -10
