# SPDX-License-Identifier: Apache-2.0
"""What the models of pictures and of tracks share: rows of what is seen with words between them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import torch
from caption_parts import Layer, RmsNorm, rope_tables, write_layers, write_matrix, write_sizes
from torch import Tensor, nn

NORMAL_TOKEN, CONTROL_TOKEN = 1, 3


class RowDecoder(nn.Module):
    """A llama-shaped decoder of seen rows and words; a network adds what turns things into rows."""

    def add_decoder(self, shape: Any, max_rows: int) -> None:
        """The decoder's weights, drawn after those that are there already."""
        self.shape = shape
        self.tokens = nn.Embedding(shape.n_text, shape.width)
        nn.init.normal_(self.tokens.weight, std=0.5)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.n_layers))
        self.norm = RmsNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.n_text, bias=False)
        cos, sin = rope_tables(max_rows, shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def read(self, seen: Tensor, rows: Tensor) -> Tensor:
        """seen [B, T, width]; rows [B, R]: a word, or -1 - t for row t of `seen`.

        Returns scores [B, R, n_text] of what follows each row.
        """
        is_seen = (rows < 0)[..., None]
        index = (-1 - rows).clamp(min=0)[..., None].expand(-1, -1, seen.shape[-1])
        x = torch.where(is_seen, seen.gather(1, index), self.tokens(rows.clamp(min=0)))
        n = x.shape[1]
        mask, cos, sin = self._mask(n), self.cos[:n], self.sin[:n]
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.head(self.norm(x))

    def _mask(self, n: int) -> Tensor:
        """[n, n] True where a row may look: its window and the sinks, never ahead."""
        i, j = torch.arange(n)[:, None], torch.arange(n)[None]
        return (j <= i) & ((i - j < self.shape.window) | (j < self.shape.n_sinks))


def write_decoder(network: RowDecoder, name: str, words: Sequence[str], path: Path) -> None:
    """Writes the decoder as GGUF of the llama architecture, matrices in Q8_0."""
    shape = network.shape
    writer = gguf.GGUFWriter(str(path), "llama")
    write_sizes(writer, name, shape)
    writer.add_vocab_size(shape.n_text)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([w if w[0] == "<" else f" {w}" for w in words])
    writer.add_token_scores([0.0] * shape.n_text)
    writer.add_token_types([CONTROL_TOKEN if w[0] == "<" else NORMAL_TOKEN for w in words])
    write_matrix(writer, "token_embd", network.tokens.weight)
    write_matrix(writer, "output", network.head.weight)
    write_layers(writer, network.layers, network.norm, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
