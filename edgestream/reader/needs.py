# SPDX-License-Identifier: Apache-2.0
"""Memory that a model takes to read along, from its file's header."""

from __future__ import annotations

from edgestream.library.gguf_header import DecoderShape
from edgestream.library.needs import F16_BYTES, F32_BYTES, Needs
from edgestream.reader.notes import Notes
from edgestream.reader.shared import MAX_FORKS
from edgestream.reader.think import Think
from edgestream.reader.tooling import Tools

PROMPT_ROWS = 128  # about, of the prompt and what it adds
TASK_ROWS = Notes.region_rows + Think.region_rows + Tools.region_rows
STEP_ROWS = 32  # that a RingDecoder computes at once


def reader_needs(file_bytes: int, shape: DecoderShape, window: int) -> Needs:
    """Of a model that reads along with all tasks, `window` rows of text, and two answers that are
    written at once, each in a fork of the memory."""
    rows = PROMPT_ROWS + window + TASK_ROWS + STEP_ROWS
    key_bytes = rows * shape.kv_width // 2 * F16_BYTES
    kv_bytes = 3 * key_bytes + PROMPT_ROWS * shape.kv_width // 2 * F32_BYTES  # keys are kept twice
    scores = rows * (shape.n_heads * (shape.n_layers + 1) + 1)
    floats = STEP_ROWS * (shape.n_vocab + 8 * shape.n_embd + 3 * shape.n_ff + scores)
    memories = 1 + MAX_FORKS
    return Needs(file_bytes, memories * kv_bytes, memories * floats * F32_BYTES)
