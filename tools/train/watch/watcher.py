# SPDX-License-Identifier: Apache-2.0
"""The commentator: a small convolutional encoder of pictures and a llama-shaped decoder.

The decoder's rows are pictures and, between them, the words of comments (interleaved, as in
VideoLLM-online, Chen et al. 2024). Silence is a score after each picture and no row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from camera import SEEN_HEIGHT, SEEN_WIDTH
from caption_parts import RmsNorm
from row_decoder import RowDecoder
from torch import Tensor, nn
from vocabulary import COLOURS, SIZES, WORDS


@dataclass(frozen=True)
class Shape:
    """The network's widths and depths; saved with every checkpoint."""

    convs: tuple[int, ...] = (24, 48, 64)
    width: int = 192
    n_layers: int = 3
    n_heads: int = 3
    n_kv_heads: int = 3
    ffn: int = 512
    n_text: int = len(WORDS)
    window: int = 96  # rows a row may look back on
    n_sinks: int = 1
    rope_base: float = 10000.0
    background_rate: float = 0.05  # share of a new picture in the kept one
    gain: float = 4.0  # of differences

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.n_heads

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)


class PictureEncoder(nn.Module):
    """A picture, its difference to the last one and to the background, to one embedding.

    State: last picture and background, each [B, 3, h, w], and whether there are any [B, 1, 1, 1].
    The background is a running mean, so what stays long enough becomes a part of it.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.rate, self.gain = shape.background_rate, shape.gain
        widths = (9, *shape.convs)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)
        )
        steps = 2 ** len(shape.convs)
        cells = (SEEN_WIDTH // steps) * (SEEN_HEIGHT // steps)
        self.whole = nn.Linear(cells * shape.convs[-1], shape.width)
        self.mixed = nn.Linear(shape.width, shape.width)
        self.norm = RmsNorm(shape.width)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def start(self, n_rows: int) -> list[Tensor]:
        """The state before the first picture."""
        empty = torch.zeros(n_rows, 3, SEEN_HEIGHT, SEEN_WIDTH)
        return [empty, empty.clone(), torch.zeros(n_rows, 1, 1, 1)]

    def forward(self, pictures: Tensor, *states: Tensor) -> tuple[Tensor, list[Tensor]]:
        """pictures [B, T, h, w, 3] in [0, 1] -> embeddings [B, T, width] and the new state."""
        seen, after = self._compared(pictures, *states)
        b, t = seen.shape[:2]
        x = seen.flatten(0, 1).contiguous(memory_format=torch.channels_last)  # a third faster
        for conv in self.convs:
            x = F.gelu(conv(x))
        x = F.gelu(self.whole(x.flatten(1)))
        x = x + F.gelu(self.mixed(x))
        return self.out(self.norm(x)).view(b, t, -1), after

    def _compared(
        self, pictures: Tensor, last: Tensor, background: Tensor, any_: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        now = pictures.permute(0, 1, 4, 2, 3)
        seen = []
        for turn in range(now.shape[1]):
            picture = now[:, turn]
            last = any_ * last + (1 - any_) * picture
            background = any_ * background + (1 - any_) * picture
            differences = [self.gain * (picture - last), self.gain * (picture - background)]
            seen.append(torch.cat([2 * picture - 1, *differences], 1))
            last, any_ = picture, torch.ones_like(any_)
            background = background + self.rate * (picture - background)
        return torch.stack(seen, 1), [last, background, any_]


class Commentator(RowDecoder):
    """Rows of pictures and words in, scores of the next word out."""

    MAX_TRAINED_ROWS = 512
    N_TRUTHS = 5 + len(COLOURS) + len(SIZES)  # here, x, y, light, cover; colour; size

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder = PictureEncoder(shape)
        self.truths = nn.Linear(shape.width, self.N_TRUTHS)  # training only
        self.add_decoder(shape, self.MAX_TRAINED_ROWS)

    def forward(
        self, pictures: Tensor, rows: Tensor, states: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """pictures [B, T, h, w, 3]; rows [B, R]: a word, or -1 - t for picture t.

        `states` are the encoder's before the first picture. Returns scores [B, R, n_text] of what
        follows each row, and truths [B, T, N_TRUTHS].
        """
        seen, _ = self.encoder(pictures, *states)
        return self.read(seen, rows), self.truths(seen)


def load_watcher(path: Path) -> Commentator:
    """A network from a checkpoint of `train_watch.py`."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    network = Commentator(Shape(**saved["shape"]))
    network.load_state_dict({name: t.float() for name, t in saved["weights"].items()})
    return network.eval()
