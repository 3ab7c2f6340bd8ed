# SPDX-License-Identifier: Apache-2.0
"""The toy translator: a llama whose attention sees and measures as the ring of the runtime does.

A row sees the attention sink (row 0 of the input) and windows of the newest rows, as if the sink
lay directly before the window; in the grouped layout output rows see input that lies in a window
of its own. So a row looks at sink, input and output with a query that is turned for each.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from llama_parts import Layer, RmsNorm, rotate
from torch import Tensor, nn

HIDDEN = -1e9
Turns = tuple[Tensor, Tensor]  # cos and sin [B, 1, T, head_width / 2]


@dataclass(frozen=True, slots=True)
class Shape:
    """Hyper-parameters. Windows are in rows; the attention sink is one row more."""

    n_vocab: int
    n_layers: int = 4
    width: int = 160
    ffn: int = 512
    n_heads: int = 5
    rope_base: float = 10_000.0
    window: int = 96  # interleaved
    region_window: int = 48  # grouped, of input and of output
    guided_layer: int = 2  # whose attention is taught to look at the word that is translated

    @property
    def head_width(self) -> int:
        return self.width // self.n_heads

    @property
    def n_kv_heads(self) -> int:
        return self.n_heads

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


class Turner:
    """Angles of the rotary embedding (half-split layout)."""

    def __init__(self, shape: Shape) -> None:
        half = torch.arange(0, shape.head_width, 2).float() / shape.head_width
        self.frequencies = shape.rope_base**-half

    def at(self, positions: Tensor) -> Turns:
        """Of positions [T] or [B, T]."""
        angle = positions.float()[..., None] * self.frequencies
        angle = angle[None, None] if angle.dim() == 2 else angle[:, None]
        return angle.cos(), angle.sin()


@dataclass(slots=True)
class View:
    """What rows see of one group of keys: from where they look, and a mask [B or 1, T, K]."""

    queries: Turns
    keys: Turns
    mask: Tensor  # 0 or HIDDEN


class TurnedLayer(Layer):
    """One layer of the llama."""

    def attend(
        self, q: Tensor, seen: list[tuple[View, Tensor, Tensor]], sink: tuple[Turns, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Softmax over groups of keys; the first key of the first group is the sink.

        `seen`: how, keys turned, values; `sink`: how queries are turned for it, its plain key.
        Returns the values' sum and the weights over the first group.
        """
        scores = []
        for i, (view, keys, _) in enumerate(seen):
            s = rotate(q, *view.queries) @ keys.transpose(-1, -2)
            if i == 0:
                first = (rotate(q, *sink[0]) * sink[1]).sum(-1, keepdim=True)
                s = torch.cat([first, s[..., 1:]], -1)
            scores.append(s / math.sqrt(q.shape[-1]) + view.mask[:, None])
        weights = torch.cat(scores, -1).softmax(-1)
        out = weights @ torch.cat([v for _, _, v in seen], 2)
        return out, weights[..., : seen[0][1].shape[2]]


class Translator(nn.Module):
    """Scores the next token. The table of tokens is also the output."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape, self.turner = shape, Turner(shape)
        self.tokens = nn.Embedding(shape.n_vocab, shape.width)
        self.layers = nn.ModuleList(TurnedLayer(shape) for _ in range(shape.n_layers))
        self.norm = RmsNorm(shape.width)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = 0.8 / math.sqrt(p.shape[1])
                if name.endswith(("o.weight", "down.weight")):
                    std = 0.5 / math.sqrt(p.shape[1] * shape.n_layers)
                nn.init.normal_(p, std=0.05 if name.startswith("tokens") else std)

    def scores(self, x: Tensor) -> Tensor:
        """Rows [n, width] behind the last layer -> [n, n_vocab]."""
        return F.linear(self.norm(x), self.tokens.weight)

    def one_region(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens [B, T], the sink first -> rows [B, T, width], attention [B, T, T] of a layer."""
        view, sink_turns = self._own(tokens.shape[1], self.shape.window)
        x, looked = self.tokens(tokens), None
        for i, layer in enumerate(self.layers):
            q, k, v = layer.project(x)
            out, weights = layer.attend(
                q, [(view, rotate(k, *view.keys), v)], (sink_turns, k[:, :, :1])
            )
            x = layer.finish(x, out)
            if i == self.shape.guided_layer:
                looked = weights.mean(1)
        assert looked is not None
        return x, looked

    def two_regions(self, source: Tensor, target: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """source [B, S] with the sink first, target [B, 2 T], input rows seen by each [B, 2 T].

        The second half of `target` are the rows as they wait, which no other row sees. Returns
        output rows [B, 2 T, width] and their attention to input [B, 2 T, S].
        """
        window, n = self.shape.region_window, source.shape[1]
        own, own_sink = self._own(n, window)
        out_own, place = self._output(target.shape[1] // 2, window)
        across = self._across(seen, place, n, own.keys)
        place_turns = self.turner.at(place)
        a, b, looked = self.tokens(source), self.tokens(target), None
        for i, layer in enumerate(self.layers):
            qa, ka, va = layer.project(a)
            qb, kb, vb = layer.project(b)
            keys = rotate(ka, *own.keys)
            plain = ka[:, :, :1]
            out_a, _ = layer.attend(qa, [(own, keys, va)], (own_sink, plain))
            seen_by_b = [(across, keys, va), (out_own, rotate(kb, *out_own.keys), vb)]
            out_b, weights = layer.attend(qb, seen_by_b, (place_turns, plain))
            a, b = layer.finish(a, out_a), layer.finish(b, out_b)
            if i == self.shape.guided_layer:
                looked = weights.mean(1)
        assert looked is not None
        return b, looked

    def _own(self, n: int, window: int) -> tuple[View, Turns]:
        """Rows of a region whose row 0 is the sink, and how they look at it."""
        i = torch.arange(n)
        distance = i[:, None] - i[None]
        near = (distance >= 0) & (distance < window)
        near[:, 0] = True
        turns = self.turner.at(i)
        mask = torch.where(near, 0.0, HIDDEN)[None]
        return View(turns, turns, mask), self.turner.at(i.clamp(max=window))

    def _output(self, n: int, window: int) -> tuple[View, Tensor]:
        """Rows of the output region, twice, and their places behind the sink [2 n]."""
        i = torch.arange(n).repeat(2)
        distance = i[:, None] - i[None]
        near = (distance > 0) & (distance < window)
        near[:, n:] = False
        mask = torch.where(near.fill_diagonal_(True), 0.0, HIDDEN)[None]
        turns = self.turner.at(i)
        return View(turns, turns, mask), i.clamp(max=window - 1)

    def _across(self, seen: Tensor, place: Tensor, n: int, keys: Turns) -> View:
        """How output rows look at the input that was there."""
        i, window = torch.arange(n), self.shape.region_window
        oldest = (seen - window).clamp(min=1)  # input row that lies directly behind the sink
        near = (i >= oldest[..., None]) & (i < seen[..., None])
        near[..., 0] = True
        return View(self.turner.at(place - 1 + oldest), keys, torch.where(near, 0.0, HIDDEN))
