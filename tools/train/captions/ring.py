# SPDX-License-Identifier: Apache-2.0
"""Greedy streaming decoding in PyTorch with a ring of keys and values: the reference for tests.

Rows in a batch are independent streams. Sinks keep a distance of at most one window, however long
the stream grows (StreamingLLM), which is what the native runtime does.
"""

from __future__ import annotations

import math

import torch
from decoder import Decoder, rotate
from torch import Tensor


class Ring:
    """Unrotated keys and values of `n_sinks + window` positions for a batch of streams."""

    def __init__(self, decoder: Decoder, n_rows: int) -> None:
        s = decoder.shape
        device = decoder.head.weight.device
        self.decoder, self.shape = decoder, s
        slots = s.n_sinks + s.window
        size = (s.n_layers, n_rows, s.n_kv_heads, slots, s.head_width)
        self.keys = torch.zeros(size, device=device)
        self.values = torch.zeros(size, device=device)
        self.position = torch.full((slots,), -1, device=device)  # position held by each slot
        self.pos = 0

    def step(self, x: Tensor) -> Tensor:
        """One position: x [B, width] -> hidden [B, width] after the last layer."""
        s = self.shape
        slot = self.pos if self.pos < s.n_sinks else s.n_sinks + (self.pos - s.n_sinks) % s.window
        self.position[slot] = self.pos
        used = self.position >= 0
        farthest = s.n_sinks + s.window - 1
        at = farthest - (self.pos - self.position).clamp(max=farthest)
        cos, sin = self.decoder.cos, self.decoder.sin
        x = x[:, None]
        for i, layer in enumerate(self.decoder.layers):
            q, k, v = layer.project(x)
            self.keys[i, :, :, slot], self.values[i, :, :, slot] = k[:, :, 0], v[:, :, 0]
            keys = rotate(self.keys[i][:, :, used], cos[at[used]], sin[at[used]])
            q = rotate(q, cos[farthest], sin[farthest])
            q = q.view(len(q), s.n_kv_heads, layer.group, s.head_width)
            weight = (q @ keys.transpose(-1, -2) / math.sqrt(s.head_width)).softmax(-1)
            attended = weight @ self.values[i][:, :, used]
            x = layer.finish(x, attended.reshape(len(x), s.n_heads, 1, s.head_width))
        self.pos += 1
        return x[:, 0]


@torch.no_grad()
def decode(decoder: Decoder, audio: Tensor, delay: Tensor, pad_bias: float) -> Tensor:
    """Greedy tokens [B, T] for audio embeddings [B, T, width] and delays [B].

    `pad_bias` is taken from PAD's score: above zero the model writes more readily.
    """
    ring = Ring(decoder, len(audio))
    late = decoder.delays(delay)
    ring.step(decoder.tokens.weight[decoder.shape.bos].expand(len(audio), -1))
    ring.step(late)
    token = torch.zeros_like(delay)
    written = []
    for t in range(audio.shape[1]):
        hidden = ring.step(audio[:, t] + decoder.tokens(token) + late)
        scores = decoder.head(decoder.norm(hidden))
        scores[:, 0] -= pad_bias
        token = scores.argmax(-1)
        written.append(token)
    return torch.stack(written, 1)
