# SPDX-License-Identifier: Apache-2.0
"""What can be told of a GGUF file that reads along: its shape, and whether it fits this machine."""

from __future__ import annotations

import math
from pathlib import Path

from edgestream.errors import ModelError, UsageError
from edgestream.hub.fit import Fit, free_memory_bytes, mb, probe
from edgestream.library.gguf_header import DecoderShape, read_shape
from edgestream.library.needs import step_demand
from edgestream.reader.model import WINDOW
from edgestream.reader.needs import reader_needs

LEAST_WINDOW, MOST_WINDOW = 16, 1 << 20  # rows


def about_gguf(path: Path, window: int | None) -> tuple[dict[str, str], Fit]:
    """Lines for the user by name, and the fit with a window of so many rows of text (tokens).

    Raises:
        ModelError: the file cannot be read, or is no decoder.
        UsageError: such a window cannot be.
    """
    window = WINDOW if window is None else window
    if not LEAST_WINDOW <= window <= MOST_WINDOW:
        raise UsageError(f"window: {window} rows; give {LEAST_WINDOW} to {MOST_WINDOW}")
    try:
        n_bytes, shape = path.stat().st_size, _shape(path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    needs = reader_needs(n_bytes, shape, window)
    lines = {
        "name": path.name, "size": mb(n_bytes),
        "shape": f"{shape.n_layers} layers of {shape.n_embd}, {shape.n_vocab} tokens",
        "window": f"{window} rows (tokens) of text",
    }  # fmt: skip
    demand = step_demand(needs, probe(), math.inf)
    return lines, Fit(needs, free_memory_bytes(), demand)


def _shape(path: Path) -> DecoderShape:
    def read_start(n_bytes: int) -> bytes:
        with path.open("rb") as opened:
            return opened.read(n_bytes)

    return read_shape(read_start, str(path))
