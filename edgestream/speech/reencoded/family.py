# SPDX-License-Identifier: Apache-2.0
"""The family of Whisper and Moonshine, and the voice gates before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgestream.errors import UsageError
from edgestream.library.families import SOUND, Family
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.manifest import REENCODED, VOICE
from edgestream.library.needs import F32_BYTES, Demand, Needs, Speed, step_demand, step_s

# Rows of a whole window, 30 s of 20 ms; and how often the decoder reads its weights in a step (some
# four tokens for a second of speech, written twice to agree).
WINDOW_ROWS, STEP_TOKENS = 1500, 8
WINDOW_BYTES = 200_000_000  # of scores, keys and values over a whole window (measured)
WEIGHT_BYTES = {"_quantized": 1, "_int8": 1, "_uint8": 1, "_q4": 0.5, "_bnb4": 0.5, "_fp16": 2,
                "_q4f16": 0.5}  # fmt: skip


def open_model(folder: Path, decoder_device: str | None) -> Any:
    """A ReencodedModel; its decoder is ONNX."""
    if decoder_device is not None:
        raise UsageError(f"{folder.name}: decoder_device is for GGUF decoders; leave it out")
    from edgestream.speech.reencoded.model import ReencodedModel

    return ReencodedModel(folder)


def recognises(folder: Path) -> bool:
    """Whether the folder is laid out as the public repositories are."""
    from edgestream.speech.reencoded.config import is_public_layout

    return is_public_layout(folder)


def needs(_: Any, sizes: dict[str, int], __: DecoderShape | None) -> Needs:
    """Both graphs, twice as onnxruntime keeps them, and what a whole window takes."""
    onnx_bytes = sum(n_bytes for name, n_bytes in sizes.items() if name.endswith(".onnx"))
    return Needs(onnx_bytes, None, onnx_bytes + WINDOW_BYTES)


def demand(_: Any, sizes: dict[str, int], __: Needs, speed: Speed) -> Demand:
    """A window for each unit of the calmest delay."""
    from edgestream.speech.reencoded.commit_policy import DELAYS

    return Demand(DELAYS["sure"].unit_ms, 1000 * window_s(speed, sizes))


def window_s(speed: Speed, sizes: dict[str, int]) -> float:
    """The encoder over a whole window, then the decoder's tokens."""
    from edgestream.speech.reencoded.model import ENCODER

    graphs = {name.removesuffix(".onnx"): n for name, n in sizes.items() if name.endswith(".onnx")}
    encoders = {name.removeprefix(ENCODER): n for name, n in graphs.items() if ENCODER in name}
    n_weights = sum(n / WEIGHT_BYTES.get(suffix, F32_BYTES) for suffix, n in encoders.items())
    decoder_bytes = sum(graphs.values()) - sum(encoders.values())
    encode_s = 2 * n_weights * WINDOW_ROWS / speed.flop_per_s
    return encode_s + STEP_TOKENS * step_s(speed, decoder_bytes)


def voice_demand(_: Any, __: dict[str, int], needs: Needs, speed: Speed) -> Demand:
    """A block of the gate."""
    from edgestream.speech.reencoded.voice import BLOCK_MS

    return step_demand(needs, speed, BLOCK_MS)


FAMILIES = [
    Family(
        REENCODED, takes=SOUND, open=open_model, recognises=recognises, needs=needs, demand=demand
    ),
    Family(VOICE, demand=voice_demand),
]
