# SPDX-License-Identifier: Apache-2.0
"""Shared with the caption model: a transformer layer, and how GGUF is written."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "captions"))

from decoder import Layer, rope_tables
from encoder import RmsNorm
from gguf_decoder import write_layers, write_matrix, write_sizes

__all__ = ["Layer", "RmsNorm", "rope_tables", "write_layers", "write_matrix", "write_sizes"]
