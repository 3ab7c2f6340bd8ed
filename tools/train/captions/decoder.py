# SPDX-License-Identifier: Apache-2.0
"""The caption decoder: a llama-shaped transformer that takes one step per 80 ms.

Step input = audio embedding + embedding of the last token + embedding of the delay, as in delayed
streams modelling (Kyutai); two sinks [BOS, DELAY_k] stay in the cache for good (StreamingLLM).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from encoder import RmsNorm
from shape import Shape
from torch import Tensor, nn


def rope_tables(n_positions: int, shape: Shape) -> tuple[Tensor, Tensor]:
    """cos and sin [n_positions, head_width / 2] of the rotary embedding (half-split layout)."""
    half = torch.arange(0, shape.head_width, 2).float() / shape.head_width
    angle = torch.outer(torch.arange(n_positions).float(), shape.rope_base**-half)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates x [..., T, head_width] by the angles of T positions."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Layer(nn.Module):
    """One transformer layer; attention is split in two so that a ring can sit between."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, kv_width = shape.width, shape.n_kv_heads * shape.head_width
        self.head_width = shape.head_width
        self.group = shape.n_heads // shape.n_kv_heads
        self.norm_attn, self.norm_ffn = RmsNorm(width), RmsNorm(width)
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, kv_width, bias=False)
        self.v = nn.Linear(width, kv_width, bias=False)
        self.o = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, shape.ffn, bias=False)
        self.up = nn.Linear(width, shape.ffn, bias=False)
        self.down = nn.Linear(shape.ffn, width, bias=False)

    def project(self, x: Tensor) -> list[Tensor]:
        """x [B, T, width] -> unrotated q, k, v, each [B, heads, T, head_width]."""
        h = self.norm_attn(x)
        return [
            p(h).view(*x.shape[:2], -1, self.head_width).transpose(1, 2)
            for p in (self.q, self.k, self.v)
        ]

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """Adds attention [B, heads, T, head_width] and the feed-forward to x [B, T, width]."""
        x = x + self.o(attended.transpose(1, 2).reshape(x.shape))
        h = self.norm_ffn(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.project(x)
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        k, v = (t.repeat_interleave(self.group, 1) for t in (k, v))
        return self.finish(x, F.scaled_dot_product_attention(q, k, v, attn_mask=mask))


class Decoder(nn.Module):
    """Scores the next token at every step, given the audio and the tokens written before."""

    MAX_TRAINED_STEPS = 1024

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.n_text + 2, shape.width)  # spare and BOS come last
        self.delays = nn.Embedding(shape.n_delays, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layers))
        self.norm = RmsNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.n_text, bias=False)
        cos, sin = rope_tables(self.MAX_TRAINED_STEPS, shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._start_weights()

    def forward(self, audio: Tensor, previous: Tensor, delay: Tensor) -> Tensor:
        """audio [B, T, width], previous tokens [B, T], delay [B] -> scores [B, T, n_text]."""
        late = self.delays(delay)[:, None]
        bos = self.tokens.weight[self.shape.bos].expand(len(audio), 1, -1)
        x = torch.cat([bos, late, audio + self.tokens(previous) + late], 1)
        n = x.shape[1]
        mask, cos, sin = self._mask(n, x.device), self.cos[:n], self.sin[:n]
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.head(self.norm(x[:, self.shape.n_sinks :]))

    def _mask(self, n: int, device: torch.device) -> Tensor:
        """[n, n] True where a step may look: its window and the sinks, never ahead."""
        i = torch.arange(n, device=device)[:, None]
        j = torch.arange(n, device=device)[None]
        return (j <= i) & ((i - j < self.shape.window) | (j < self.shape.n_sinks))

    def _start_weights(self) -> None:
        """Unit-variance projections; those that write into the residual stream start smaller."""
        for name, p in self.named_parameters():
            if p.dim() < 2:
                continue
            std = 0.8 / math.sqrt(p.shape[1])
            if name.endswith(("o.weight", "down.weight")):
                std = 0.5 / math.sqrt(p.shape[1] * self.shape.n_layers)
            elif name.startswith(("tokens", "delays")):
                std = 0.5
            elif name.startswith("head"):
                std = 0.02
            nn.init.normal_(p, std=std)
