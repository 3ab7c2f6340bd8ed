# SPDX-License-Identifier: Apache-2.0
"""Streams of rows as tensors, several to a batch, and the loss on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from streams import NONE, Rows, draw_stream, grouped, interleaved
from torch import Tensor
from toy_network import Translator
from toy_vocabulary import END, Vocabulary

GUIDANCE = 0.15  # weight of the attention's loss
SMOOTHING = 0.02  # of the labels
STREAMS = 16  # of a batch
MOST_ROWS = {"short": 60, "long": 150}  # of a stream: both languages together


@dataclass(slots=True)
class Batch:
    """Rows [B, T]; `source` and `seen` are of the grouped layout only.

    There the second half of the rows are those that wait, as `grouped()` gives them.
    """

    tokens: Tensor
    labels: Tensor
    weights: Tensor
    looks: Tensor  # number of a word
    words: Tensor  # of the rows that are looked at, [B, T] or [B, S]
    source: Tensor | None = None
    seen: Tensor | None = None


def _padded(lists: list[list[int]] | list[list[float]], fill: float) -> Tensor:
    longest = max(map(len, lists))
    rows = [list(one) + [fill] * (longest - len(one)) for one in lists]
    return torch.tensor(rows)


def _of(rows: Sequence[Rows], words: Sequence[Rows]) -> Batch:
    return Batch(
        _padded([r.tokens for r in rows], END), _padded([r.labels for r in rows], NONE),
        _padded([r.weights for r in rows], 0.0), _padded([r.looks for r in rows], NONE),
        _padded([r.words for r in words], NONE),
    )  # fmt: skip


def draw_batch(rng: Random, vocabulary: Vocabulary, layout: str, length: str) -> Batch:
    """A batch of streams in one layout."""
    drawn = [draw_stream(rng, vocabulary, MOST_ROWS[length]) for _ in range(STREAMS)]
    if layout == "interleaved":
        rows = [interleaved(one) for one in drawn]
        return _of(rows, rows)
    sources, targets, waitings = zip(*(grouped(one, rng) for one in drawn), strict=True)
    batch, again = _of(targets, sources), _of(waitings, sources)
    for name in ("tokens", "labels", "weights", "looks"):
        setattr(batch, name, torch.cat([getattr(batch, name), getattr(again, name)], 1))
    batch.source = _padded([source.tokens for source in sources], END)
    batch.seen = torch.cat([_padded([r.seen for r in rows], 1) for rows in (targets, waitings)], 1)
    return batch


def loss_of(network: Translator, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of the proposals, and of where the guided layer looks."""
    if batch.source is None or batch.seen is None:
        x, looked = network.one_region(batch.tokens)
    else:
        x, looked = network.two_regions(batch.source, batch.tokens, batch.seen)
    asked = batch.labels >= 0
    labels, weights = batch.labels[asked], batch.weights[asked]
    scores = network.scores(x[asked]).float()
    spoken = F.cross_entropy(scores, labels, reduction="none", label_smoothing=SMOOTHING)
    loss = (spoken * weights).sum() / weights.sum()
    aim = _Aim(batch, asked, looked)
    figures = {"right": (scores.argmax(-1) == labels).float()[weights == 1].mean()}
    loss = loss + GUIDANCE * aim.loss()
    figures |= {"loss": loss, "aimed": aim.share()}
    return loss, {name: float(value.detach()) for name, value in figures.items()}


class _Aim:
    """Where the guided layer looks: `found` [n] is what the word that is needed gets of it."""

    def __init__(self, batch: Batch, asked: Tensor, looked: Tensor) -> None:
        words = batch.words[:, None].expand(-1, asked.shape[1], -1)[asked]
        self.aimed = batch.looks[asked][:, None] == words
        self.has_aim = self.aimed.any(-1)
        self.weights = looked[asked].float()
        self.of_input = self.weights * (words >= 0)

    def loss(self) -> Tensor:
        """Negative logarithm of the attention that the right word gets."""
        found = (self.weights * self.aimed).sum(-1)
        return -((found + 1e-4).log() * self.has_aim).sum() / self.has_aim.sum()

    def share(self) -> Tensor:
        """How often the most attended input row is of the right word."""
        most = self.of_input.argmax(-1, keepdim=True)
        hit = self.aimed.gather(1, most).squeeze(1) & self.has_aim
        return hit.sum() / self.has_aim.sum()
