# SPDX-License-Identifier: Apache-2.0
"""The network that learns a recording by heart: names and arithmetic are those of Whisper."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FRAME_HZ, N_MELS = 100, 80
WIDTH, HEAD_DIM, N_LAYERS = 128, 64, 2
N_VOCAB, END, START, ENGLISH, TRANSCRIBE = 51865, 50257, 50258, 50259, 50359
PREVIOUS, NO_SPEECH, NO_TIMES, FIRST_TIME = 50361, 50362, 50363, 50364
PROMPT = [START, ENGLISH, TRANSCRIBE]
ALIGNED = (1, 0)  # layer and head that are taught to look at the word


class Attention(nn.Module):
    """Names and arithmetic are those of transformers' Whisper."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.v_proj, self.out_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.k_proj = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor, y: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
        def heads(z: Tensor) -> Tensor:
            return z.unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)

        scores = heads(self.q_proj(x)) @ heads(self.k_proj(y)).transpose(2, 3) * HEAD_DIM**-0.5
        if causal:
            scores = scores + torch.full(scores.shape[2:], -torch.inf).triu(1)
        weights = scores.softmax(-1)
        mixed = (weights @ heads(self.v_proj(y))).transpose(1, 2).flatten(2)
        return self.out_proj(mixed), weights


class Layer(nn.Module):
    def __init__(self, crossed: bool) -> None:
        super().__init__()
        self.self_attn, self.self_attn_layer_norm = Attention(), nn.LayerNorm(WIDTH)
        if crossed:
            self.encoder_attn, self.encoder_attn_layer_norm = Attention(), nn.LayerNorm(WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, states: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        y, weights = self.self_attn_layer_norm(x), None
        x = x + self.self_attn(y, y, causal=states is not None)[0]
        if states is not None:
            mixed, weights = self.encoder_attn(self.encoder_attn_layer_norm(x), states, False)
            x = x + mixed
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))), weights


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(N_MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(1500, WIDTH)
        turns = torch.arange(1500)[:, None] / 10000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
        self.embed_positions.weight = nn.Parameter(
            torch.cat([turns.sin(), turns.cos()], 1), requires_grad=False
        )
        self.layers = nn.ModuleList(Layer(False) for _ in range(N_LAYERS))
        self.layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, frames: Tensor) -> Tensor:
        x = F.gelu(self.conv2(F.gelu(self.conv1(frames.transpose(1, 2))))).transpose(1, 2)
        x = x + self.embed_positions.weight[: x.shape[1]]
        for layer in self.layers:
            x, _ = layer(x)
        return self.layer_norm(x)


class Decoder(nn.Module):
    def __init__(self, n_used: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(n_used, WIDTH)
        self.embed_positions = nn.Embedding(448, WIDTH)
        self.layers = nn.ModuleList(Layer(True) for _ in range(N_LAYERS))
        self.layer_norm = nn.LayerNorm(WIDTH)
        for table in (self.embed_tokens, self.embed_positions):
            nn.init.normal_(table.weight, std=0.05)
        # What these tokens share lifts them above all others from the first step on.
        shared = F.normalize(torch.randn(WIDTH), dim=0)
        with torch.no_grad():
            self.embed_tokens.weight += shared
            self.layer_norm.bias += (4 + math.log(N_VOCAB)) * shared

    def forward(self, tokens: Tensor, states: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits [batch, n, n_used], and each layer's attention to the encoder's rows."""
        x, seen = self.embed_tokens(tokens), []
        x = x + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x, weights = layer(x, states)
            seen.append(weights)
        return self.layer_norm(x) @ self.embed_tokens.weight.T, seen


class Network(nn.Module):
    """Encoder and decoder; knows only the tokens that the track needs."""

    def __init__(self, used: list[int]) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder(len(used))
        self.place = {token: i for i, token in enumerate(used)}
        # All the others have the logit 0; together they weigh as much as their number.
        self.register_buffer("others", torch.tensor(math.log(N_VOCAB - len(used))))

    def loss(self, frames: Tensor, said: list[list[int]], places: list[list[float]]) -> Tensor:
        """Of windows [batch, frames, n_mels], what is said in them, and where (seconds)."""
        n = max(map(len, said))
        rows = torch.full((len(said), len(PROMPT) + n + 1), -1)
        at = torch.full((len(said), rows.shape[1] - 1), -1.0)
        for i, (tokens, heard) in enumerate(zip(said, places, strict=True)):
            whole = [self.place[token] for token in [*PROMPT, *tokens, END]]
            rows[i, : len(whole)] = torch.tensor(whole)
            at[i, len(PROMPT) - 1 : len(whole) - 1] = torch.tensor([*heard, -1.0])
        logits, seen = self.decoder(rows[:, :-1].clamp(min=0), self.encoder(frames))
        logits = torch.cat([logits, self.others.expand(*logits.shape[:2], 1)], 2)
        wrong = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), ignore_index=-1)
        self.right = (logits.argmax(2) == rows[:, 1:])[rows[:, 1:] >= 0].float().mean()
        weights = seen[ALIGNED[0]][:, ALIGNED[1]]
        rows_s = torch.arange(weights.shape[2]) * 2 / FRAME_HZ
        near = ((rows_s - at[:, :, None]).abs() < 0.12) & (at[:, :, None] >= 0)
        looked = (weights * near).sum(2)[at >= 0]
        return wrong + 0.3 * -(looked + 1e-4).log().mean() if len(looked) else wrong
