# SPDX-License-Identifier: Apache-2.0
"""The family of vision-language models: a tower for pictures before a language model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edgestream.library.families import PICTURES, Family
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.manifest import VLM
from edgestream.library.manifest.vlm import TRACKS, VlmManifest, vlm_rules
from edgestream.library.needs import (
    F16_BYTES,
    F32_BYTES,
    PICTURES_BYTES,
    Demand,
    Needs,
    Speed,
    graph_needs,
    step_s,
)
from edgestream.vision.tracked.family import ACTIVATION_BYTES

# Of a picture: patches that the tower computes, rows of the chat template around it.
PATCHES, TURN_ROWS = 1024, 24


def open_model(folder: Path, decoder_device: str | None) -> Any:
    """A VlmModel."""
    from edgestream.vision.vlm.model import VlmModel  # libmtmd is loaded with it

    return VlmModel(folder, decoder_device=decoder_device)


def needs(m: VlmManifest, sizes: dict[str, int], shape: DecoderShape | None) -> Needs:
    """Keys are kept a second time, as they are before rotation; beside it, what follows things."""
    if shape is None:
        return graph_needs(m, sizes, shape)
    d, pictures = m.decoder, m.pictures
    n_pictures = max(2, math.ceil(d.vision_window_s * pictures.fps))
    rows = d.text_sink + d.text_window + n_pictures * (pictures.max_rows + TURN_ROWS)
    kv_bytes = rows * shape.kv_width * F16_BYTES
    kv_bytes += kv_bytes // 2
    floats = shape.n_vocab + shape.n_heads * (PATCHES**2 + rows)
    following = ACTIVATION_BYTES if m.policy.asks == TRACKS else 0
    return Needs(sum(sizes.values()), kv_bytes, floats * F32_BYTES + PICTURES_BYTES + following)


def demand(m: VlmManifest, sizes: dict[str, int], _: Needs, speed: Speed) -> Demand:
    """A picture that changed all over: its patches, its rows, and the longest comment on it."""
    from edgestream.vision.governor import intervals

    tower_bytes, decoder_bytes = sizes[m.tower.file], sizes[m.decoder.file]
    rows = m.pictures.max_rows + TURN_ROWS
    products = 2 * (tower_bytes * PATCHES + decoder_bytes * rows)  # of weights of a byte
    writing_s = m.policy.max_tokens * step_s(speed, decoder_bytes)
    interval_ms = intervals(m.pictures.fps)[-1]  # the governor slows down as far as that
    return Demand(interval_ms, 1000 * (products / speed.flop_per_s + writing_s), PICTURES)


FAMILIES = [Family(VLM, VlmManifest, vlm_rules, PICTURES, open_model, needs=needs, demand=demand)]
