# SPDX-License-Identifier: Apache-2.0
"""The streaming model of tracks: a small network for each row of numbers, a llama-shaped decoder.

The decoder's rows are tracks, one for each active track of a picture, and between them the words of
what is said of a track (interleaved, as in VideoLLM-online, Chen et al. 2024). Silence is a score
after each track and no row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from caption_parts import RmsNorm
from row_decoder import RowDecoder
from torch import Tensor, nn
from track_features import N_NUMBERS
from track_words import WORDS


@dataclass(frozen=True)
class TrackShape:
    """The network's widths and depths; saved with every checkpoint."""

    n_numbers: int = N_NUMBERS
    hidden: int = 192
    width: int = 128
    n_layers: int = 4
    n_heads: int = 4
    n_kv_heads: int = 4
    ffn: int = 320
    n_text: int = len(WORDS)
    window: int = 256  # rows a row may look back on
    n_sinks: int = 1
    rope_base: float = 10000.0

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.n_heads

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)


class TrackEncoder(nn.Module):
    """Numbers of one track [..., n_numbers] to one embedding [..., width]; no state."""

    def __init__(self, shape: TrackShape) -> None:
        super().__init__()
        self.first = nn.Linear(shape.n_numbers, shape.hidden)
        self.second = nn.Linear(shape.hidden, shape.hidden)
        self.norm = RmsNorm(shape.hidden)
        self.out = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, numbers: Tensor) -> Tensor:
        x = F.silu(self.first(numbers))
        x = x + F.silu(self.second(x))
        return self.out(self.norm(x))


class TrackTeller(RowDecoder):
    """Rows of tracks and words in, scores of the next word out."""

    MAX_TRAINED_ROWS = 1024

    def __init__(self, shape: TrackShape) -> None:
        super().__init__()
        self.encoder = TrackEncoder(shape)
        self.add_decoder(shape, self.MAX_TRAINED_ROWS)

    def forward(self, numbers: Tensor, rows: Tensor) -> Tensor:
        """numbers [B, T, n_numbers]; rows [B, R]: a word, or -1 - t for row t of `numbers`.

        Returns scores [B, R, n_text] of what follows each row.
        """
        return self.read(self.encoder(numbers), rows)


def load_teller(path: Path) -> TrackTeller:
    """A network from a checkpoint of `train_tracks.py`."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    network = TrackTeller(TrackShape(**saved["shape"]))
    network.load_state_dict(saved["average"])
    return network.eval()
