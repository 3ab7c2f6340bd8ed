# SPDX-License-Identifier: Apache-2.0
"""The causal log-mel in NumPy, equal to what the runtime computes, and its 8-bit form on disk."""

from __future__ import annotations

import numpy as np
import shape as sizes
from numpy.typing import NDArray
from shape import Shape

N_MELS = Shape().n_mels
TINY_SUM = 1e-3  # a triangle that falls between two FFT bins takes the nearest one
QUANT_LOW, QUANT_STEP = -11.6, 0.08  # 0..255 spans ln 1e-5 to +8.8


def mel_filters() -> NDArray[np.float32]:
    """[n_mels, fft_size / 2 + 1] HTK-mel triangles, each of sum 1."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (sizes.MEL_MIN_HZ, sizes.MEL_MAX_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, N_MELS + 2) / 2595) - 1)
    bins = np.arange(sizes.FFT_SIZE // 2 + 1) * sizes.SAMPLE_RATE_HZ / sizes.FFT_SIZE
    filters = np.zeros((N_MELS, len(bins)), np.float32)
    for row, (a, b, c) in zip(filters, zip(edges, edges[1:], edges[2:], strict=False), strict=True):
        row[:] = np.maximum(0, np.minimum((bins - a) / (b - a), (c - bins) / (c - b)))
        if row.sum() < TINY_SUM:
            row[round(b * sizes.FFT_SIZE / sizes.SAMPLE_RATE_HZ)] = 1
        row /= row.sum()
    return filters


FILTERS = mel_filters()
WINDOW = np.hanning(sizes.WINDOW_SAMPLES + 1)[: sizes.WINDOW_SAMPLES].astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples [n] at 16 kHz to natural log-mel [n / 160, n_mels].

    Frame i sees samples before 160 (i + 1); silence comes before the first.
    """
    n_frames = len(samples) // sizes.HOP_SAMPLES
    before = np.zeros(sizes.WINDOW_SAMPLES - sizes.HOP_SAMPLES, np.float32)
    padded = np.concatenate([before, samples.astype(np.float32)])
    views = np.lib.stride_tricks.sliding_window_view(padded, sizes.WINDOW_SAMPLES)
    frames = views[:: sizes.HOP_SAMPLES][:n_frames] * WINDOW
    power = np.abs(np.fft.rfft(frames, sizes.FFT_SIZE)) ** 2
    mel: NDArray[np.float32] = np.log(power.astype(np.float32) @ FILTERS.T + sizes.LOG_FLOOR)
    return mel


def quantise(mel: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Log-mel to 8 bits; the step of 0.08 is 0.35 dB."""
    return np.clip(np.round((mel - QUANT_LOW) / QUANT_STEP), 0, 255).astype(np.uint8)


def restore(quantised: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The log-mel of `quantise`, within half a step."""
    return quantised.astype(np.float32) * QUANT_STEP + QUANT_LOW
