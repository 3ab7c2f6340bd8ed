# SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder together, and their checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from decoder import Decoder
from encoder import Encoder
from ring import decode
from shape import Shape
from torch import Tensor, nn


class CaptionNetwork(nn.Module):
    """Log-mel and the tokens written so far in, scores of the next token out."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)

    def forward(self, mel: Tensor, previous: Tensor, delay: Tensor) -> tuple[Tensor, Tensor]:
        """mel [B, 8T, n_mels], previous [B, T], delay [B] -> scores [B, T, n_text], phones."""
        audio, phones, _ = self.encoder(mel, *self.encoder.start(len(mel)))
        return self.decoder(audio, previous, delay), phones

    @torch.no_grad()
    def caption(self, mel: Tensor, delay_frames: int, pad_bias: float) -> Tensor:
        """Greedy tokens [B, T] of mel [B, 8T, n_mels], each row a stream of its own."""
        audio, _, _ = self.encoder(mel, *self.encoder.start(len(mel)))
        delay = torch.full((len(mel),), delay_frames, device=mel.device)
        return decode(self.decoder, audio, delay, pad_bias)


def load_network(path: Path) -> CaptionNetwork:
    """A network from a checkpoint of `train.py` (its averaged weights, float16 on disk)."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    network = CaptionNetwork(Shape(**saved["shape"]))
    network.load_state_dict({name: t.float() for name, t in saved["weights"].items()})
    return network.eval()


def save_network(network: CaptionNetwork, path: Path) -> None:
    """Writes the weights in float16 next to `path` and moves them there in one go."""
    weights = {name: t.detach().half().cpu() for name, t in network.state_dict().items()}
    part = path.with_suffix(".part")
    torch.save({"shape": network.shape.as_dict(), "weights": weights}, part)
    part.replace(path)
