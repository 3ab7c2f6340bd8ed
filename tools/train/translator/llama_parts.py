# SPDX-License-Identifier: Apache-2.0
"""Shared with the caption model: a transformer layer, its optimiser, and how GGUF is written."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "captions"))

from decoder import Layer, rotate
from encoder import RmsNorm
from gguf_decoder import write_layers, write_matrix, write_sizes
from muon import Muon

__all__ = [
    "Layer", "Muon", "RmsNorm", "rotate", "write_layers", "write_matrix", "write_sizes",
]  # fmt: skip
