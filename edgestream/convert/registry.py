# SPDX-License-Identifier: Apache-2.0
"""Which converter takes which source: a new kind of model is a line here and a module."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.models.decoder_config import ARCHITECTURES, SEEING
from edgestream.convert.request import Request
from edgestream.errors import ModelError
from edgestream.library.progress import Progress

# `model_type` of config.json: the module of its converter.
CONVERTERS = dict.fromkeys(ARCHITECTURES, "edgestream.convert.models.decoder")
CONVERTERS |= dict.fromkeys(("whisper", "moonshine"), "edgestream.convert.models.speech")
CONVERTERS |= dict.fromkeys(SEEING, "edgestream.convert.models.vlm")
CONVERTERS |= {
    "kyutai_speech_to_text": "edgestream.convert.models.kyutai",
    "voxtral_realtime": "edgestream.convert.models.voxtral",
}


class Compared(Protocol):
    """How near a result is to its source; its text is for the user."""

    @property
    def holds(self) -> bool:
        """Whether it is near enough."""


class Converter(Protocol):
    """A module that converts a checkpoint; both functions may raise any EdgestreamError."""

    def write(
        self, checkpoint: Checkpoint, folder: Path, request: Request, progress: Progress
    ) -> None:
        """Writes a complete model's folder, model.toml too. The checkpoint is open."""

    def compare(self, checkpoint: Checkpoint, folder: Path) -> Compared:
        """Runs source and result on the same input."""


def find_converter(checkpoint: Checkpoint) -> Converter:
    """The converter of a checkpoint; raises ModelError naming the known kinds if there is none."""
    module = CONVERTERS.get(checkpoint.model_type)
    if module is None:
        raise ModelError(
            f"{checkpoint.folder}: model_type {checkpoint.model_type!r:.80} is not converted;"
            f" known: {', '.join(CONVERTERS)}"
        )
    converter: Any = import_module(module)
    return converter  # type: ignore[no-any-return]
