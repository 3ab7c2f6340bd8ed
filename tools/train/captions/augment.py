# SPDX-License-Identifier: Apache-2.0
"""Voices, rooms, microphones and noise, drawn per row in the log-mel domain.

Most rows stay near clean: synthetic speech as it comes is what the model must first do well.
"""

from __future__ import annotations

import math

import shape as sizes
import torch
import torch.nn.functional as F
from torch import Tensor

WARP_SHARE, WARP = 0.35, (0.88, 1.13)  # vocal tract length
EQ_TILT, EQ_WAVES, EQ_WAVE_STD = 0.9, (1, 2, 3, 5), 0.3
REVERB_SHARE, REVERB_TIME_S, REVERB_POWER, REVERB_FRAMES = 0.18, (0.15, 0.6), (0.02, 0.15), 50
NOISE_SHARE, NOISE_LEVEL = 0.55, (-10.0, -1.0)  # ln power beside speech of about 0 to +4
CLEAN_LEVEL = -14.0
BAND_LIMIT_SHARE, BAND_LIMIT_DROP = 0.10, 18.0
MASKED_BINS, MASKED_FRAMES, FRAMES_PER_MASK = 7, 6, 500
GATE_SHARE = 0.3  # rows whose gaps become digital silence, as behind a noise gate or at the end
DECAY_60_DB = 13.8  # ln of 60 dB of power


def augment(mel: Tensor, gain: Tensor, quiet: Tensor, strength: float) -> Tensor:
    """mel [B, M, bins] natural log, gain [B] of its speech, quiet [B, M] gap frames -> mel.

    `strength` scales how many rows are changed, and how far their colour is.
    """
    mel = _equalise(_warp(mel, strength), strength)
    power = _reverberate(mel.exp(), strength)
    power = power + _noise(power, gain, strength)
    mel = (power * _band_limit(power) + sizes.LOG_FLOOR).log()
    gate = quiet & (torch.rand(len(mel), 1, device=mel.device) < GATE_SHARE)
    return _mask(torch.where(gate[..., None], math.log(sizes.LOG_FLOOR), mel))


def _draw(like: Tensor, *size: int, span: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    return span[0] + (span[1] - span[0]) * torch.rand(*size, device=like.device)


def _axis(like: Tensor) -> Tensor:
    """-1 to 1 over the mel bins, [1, bins]."""
    return torch.linspace(-1, 1, like.shape[2], device=like.device)[None]


def _warp(mel: Tensor, strength: float) -> Tensor:
    rows = (_draw(mel, len(mel)) < WARP_SHARE * strength).nonzero()[:, 0]
    if not len(rows):
        return mel
    n_bins = mel.shape[2]
    low, high = (2595 * math.log10(1 + f / 700) for f in (sizes.MEL_MIN_HZ, sizes.MEL_MAX_HZ))
    centre = low + (high - low) * (torch.arange(n_bins, device=mel.device) + 1) / (n_bins + 1)
    hz = 700 * (10 ** (centre / 2595) - 1) * _draw(mel, len(rows), 1, span=WARP)
    at = ((2595 * torch.log10(1 + hz / 700) - low) / (high - low) * (n_bins + 1) - 1).clamp(
        0, n_bins - 1.001
    )
    below = at.floor().long()
    weight = (at - below)[:, None]
    index = below[:, None].expand(-1, mel.shape[1], -1)
    warped = mel[rows].gather(2, index) * (1 - weight) + mel[rows].gather(2, index + 1) * weight
    return mel.index_copy(0, rows, warped)


def _equalise(mel: Tensor, strength: float) -> Tensor:
    x = _axis(mel)
    curve = _draw(mel, len(mel), 1, span=(-EQ_TILT, EQ_TILT)) * x
    for n in EQ_WAVES:
        depth = torch.randn(len(mel), 1, device=mel.device) * EQ_WAVE_STD
        curve = curve + depth * torch.cos(
            math.pi * n * (x + 1) / 2 + 2 * math.pi * _draw(mel, len(mel), 1)
        )
    return mel + strength * curve[:, None]


def _reverberate(power: Tensor, strength: float) -> Tensor:
    """An exponential tail on the power of some rows."""
    rows = (_draw(power, len(power)) < REVERB_SHARE * strength).nonzero()[:, 0]
    if not len(rows):
        return power
    t = torch.arange(REVERB_FRAMES, device=power.device) * sizes.MEL_S
    tail = torch.exp(-DECAY_60_DB * t / _draw(power, len(rows), 1, span=REVERB_TIME_S))
    tail = tail * _draw(power, len(rows), 1, span=REVERB_POWER)
    tail[:, 0] = 1
    n = power.shape[1] + REVERB_FRAMES
    spectrum = torch.fft.rfft(power[rows], n, dim=1) * torch.fft.rfft(tail, n, dim=1)[..., None]
    wet = torch.fft.irfft(spectrum, n, dim=1)[:, : power.shape[1]].clamp_min(1e-7)
    return power.index_copy(0, rows, wet)


def _noise(power: Tensor, gain: Tensor, strength: float) -> Tensor:
    """Coloured noise with a slowly wandering level; none to speak of in the other rows."""
    b, m, n = power.shape
    device = power.device
    noisy = _draw(power, b) < NOISE_SHARE * strength
    level = torch.where(noisy, gain + _draw(power, b, span=NOISE_LEVEL), CLEAN_LEVEL)
    colour = _draw(power, b, 1, span=(-2.0, 0.4)) * _axis(power)
    slow = torch.randn(b, 1, m // 40 + 2, device=device) * 0.6
    slow = F.interpolate(slow, size=m, mode="linear").transpose(1, 2)
    grain = 0.7 * torch.randn(b, m, n, device=device)
    return (level[:, None, None] + colour[:, None] + slow + grain).exp()


def _band_limit(power: Tensor) -> Tensor:
    """Weights [B, 1, bins] of a low-pass in some rows, as over a telephone."""
    edge = _draw(power, len(power), 1, span=(0.25, 0.95))
    on = (_draw(power, len(power), 1) < BAND_LIMIT_SHARE).float()
    slope = ((_axis(power) - edge).clamp_min(0) * 5).clamp(max=1)
    return (-on * BAND_LIMIT_DROP * slope).exp()[:, None]


def _mask(mel: Tensor) -> Tensor:
    """SpecAugment (Park et al. 2019), milder: one band of bins and a few short spans of frames."""
    b, m, n = mel.shape
    bins, frames = torch.arange(n, device=mel.device), torch.arange(m, device=mel.device)
    start, width = _draw(mel, b, 1) * n, (_draw(mel, b, 1) * 2 - 1) * MASKED_BINS
    masked = ((bins >= start) & (bins < start + width))[:, None].expand(b, m, n)
    for _ in range(max(1, m // FRAMES_PER_MASK)):
        start, width = _draw(mel, b, 1) * m, _draw(mel, b, 1) * MASKED_FRAMES
        masked = masked | ((frames >= start) & (frames < start + width))[..., None]
    return torch.where(masked, mel.mean((1, 2), keepdim=True), mel)
