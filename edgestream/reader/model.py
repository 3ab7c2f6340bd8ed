# SPDX-License-Identifier: Apache-2.0
"""A model that reads along: a GGUF file of a decoder, or a converted model's folder."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from edgestream._native import GgufModel, RingDecoder
from edgestream.decoder.model import load_decoder
from edgestream.decoder.open import read_gguf
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import ModelError, UsageError
from edgestream.reader.chat import Chat, chat_of

SUFFIX = ".gguf"
DEVICE = "cpu"
WINDOW = 2048  # rows of text that are remembered, some 1500 words: ten minutes of speech


class ReaderModel:
    """Weights, tokenizer and chat template; immutable, may be shared between threads.

    Attributes:
        path: of the GGUF file.
        weights: for a RingDecoder of one's own.
        chat: the file's own chat template, in pieces.
    """

    def __init__(self, path: Path, weights: GgufModel, tokenizer: Tokenizer) -> None:
        self.path, self.weights, self.tokenizer = path, weights, tokenizer

    @cached_property
    def chat(self) -> Chat:
        """Raises ModelError where the file's template cannot be used."""
        return chat_of(self.weights, self.tokenizer)

    def ring(self, *, n_threads: int = 1, **memory: object) -> RingDecoder:
        """A stream's memory; options as a RingDecoder takes them.

        Raises UsageError on what does not fit the model, ModelError where memory is short.
        """
        try:
            return RingDecoder(self.weights, n_threads=n_threads, **memory)  # type: ignore[arg-type]
        except ValueError as error:
            raise UsageError(f"{self.path.name}: {error}") from None
        except RuntimeError as error:
            raise ModelError(f"{self.path.name}: {error}") from None


def load_reader(name: str | os.PathLike[str], *, device: str | None = None) -> ReaderModel:
    """Loads a model that reads along.

    Args:
        name: a GGUF file of a family that is supported (docs/decoder.md), the folder of a converted
            decoder, or its name.
        device: computes: `cpu`, `auto` or ggml's name of a device.

    Raises:
        ModelError: there is no such file or device, or it is damaged or not supported.
    """
    path = Path(name)
    if path.suffix.lower() != SUFFIX:
        return _converted(name, device)
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give a GGUF file, or a converted model's folder")
    weights = read_gguf(path, DEVICE if device is None else device)
    return ReaderModel(path, weights, Tokenizer(path))


def _converted(name: str | os.PathLike[str], device: str | None) -> ReaderModel:
    model = load_decoder(name, device=device)
    if not isinstance(model.weights, GgufModel) or model.tokenizer is None:
        raise ModelError(f"{name}: a model that reads along is a GGUF file with its tokenizer")
    return ReaderModel(model.folder / model.manifest.decoder.file, model.weights, model.tokenizer)
