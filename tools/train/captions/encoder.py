# SPDX-License-Identifier: Apache-2.0
"""The causal convolutional encoder: log-mel at 100 Hz to embeddings at 12.5 Hz.

The same code runs over a whole utterance (state of zeros) and chunk by chunk, so training and
streaming cannot differ.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from shape import Shape
from torch import Tensor, nn


class RmsNorm(nn.Module):
    """x / rms(x) * weight over the last axis."""

    EPSILON = 1e-5

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        # Written out because the ONNX exporter knows no rms_norm; in float32 whatever x is.
        y = x.float()
        y = y * torch.rsqrt((y * y).mean(-1, keepdim=True) + self.EPSILON)
        return y.to(x.dtype) * self.weight


class CausalConv(nn.Module):
    """Strided convolution over time; output j sees inputs before `stride * (j + 1)`."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(n_in, n_out, kernel, stride)
        self.state_shape = (kernel - stride, n_in)  # inputs kept for the next chunk

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, n_in], state [B, kernel - stride, n_in] -> [B, T / stride, n_out], state."""
        x = torch.cat([state, x], 1)
        y = self.conv(x.transpose(1, 2)).transpose(1, 2)
        return y, x[:, -self.state_shape[0] :]


class ResidualConv(nn.Module):
    """x + linear(gelu(causal_conv(norm(x))))."""

    KERNEL = 5

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = RmsNorm(width)
        self.conv = CausalConv(width, width, self.KERNEL, 1)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        y, state = self.conv(self.norm(x), state)
        return x + self.out(F.gelu(y)), state


class Encoder(nn.Module):
    """Five causal convolutions, each halving or keeping the rate: 100, 50, 25, 25, 25, 12.5 Hz."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.mean, self.std = shape.mel_mean, shape.mel_std
        self.conv1 = CausalConv(shape.n_mels, shape.conv1, 4, 2)
        self.conv2 = CausalConv(shape.conv1, shape.conv2, 4, 2)
        self.blocks = nn.ModuleList(ResidualConv(shape.conv2) for _ in range(shape.n_blocks))
        self.norm_phone = RmsNorm(shape.conv2)
        self.phone = nn.Linear(shape.conv2, shape.n_phones)  # training only
        self.conv3 = CausalConv(shape.conv2, shape.width, 6, 2)
        self.norm_out = RmsNorm(shape.width)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def start(self, n_rows: int) -> list[Tensor]:
        """The state before the first frame: zeros, one tensor per convolution."""
        convs = [self.conv1, self.conv2, *(b.conv for b in self.blocks), self.conv3]
        device = self.out.weight.device
        return [torch.zeros(n_rows, *c.state_shape, device=device) for c in convs]

    def forward(self, mel: Tensor, *states: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """mel [B, T, n_mels] natural log-mel, T a multiple of 8.

        Returns embeddings [B, T / 8, width], phone scores [B, T / 4, n_phones], the new states.
        """
        x = (mel - self.mean) / self.std
        x, s1 = self.conv1(x, states[0])
        x, s2 = self.conv2(F.gelu(x), states[1])
        x = F.gelu(x)
        after = [s1, s2]
        for block, state in zip(self.blocks, states[2:-1], strict=True):
            x, state = block(x, state)
            after.append(state)
        x = self.norm_phone(x)
        phones = self.phone(x)
        x, s3 = self.conv3(x, states[-1])
        return self.out(self.norm_out(x)), phones, [*after, s3]
