# SPDX-License-Identifier: Apache-2.0
"""Which engine speaks."""

from __future__ import annotations

from edgestream.speaking.engine import Engine
from edgestream.speaking.espeak import EspeakEngine
from edgestream.speaking.piper import PiperEngine


def open_engine(voice: str | None = None, speed: float = 1.0) -> Engine:
    """Piper for the path of a voice (`.onnx`), else espeak-ng, with its voice for the language if
    `voice` is None.

    Raises:
        UsageError: the engine is not installed, the voice is none, or `speed` is out of range.
    """
    if voice is not None and voice.lower().endswith(".onnx"):
        return PiperEngine(voice, speed)
    return EspeakEngine(voice, speed)
