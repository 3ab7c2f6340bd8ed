# SPDX-License-Identifier: Apache-2.0
"""A decoder alone in a model's folder, as `edgestream convert` writes it, for loops of your own."""

from __future__ import annotations

import os
from pathlib import Path

from edgestream._native import Decoder, GgufModel, RingDecoder
from edgestream.decoder_config import DecoderManifest
from edgestream.errors import ModelError
from edgestream.library import find, read_verified
from edgestream.onnx_decoder import OnnxDecoder
from edgestream.onnx_model import OnnxModel
from edgestream.tokenizer import Tokenizer


class DecoderModel:
    """Weights, manifest and tokenizer; immutable, may be shared between threads.

    Attributes:
        weights: for a RingDecoder or an OnnxDecoder with options of your own.
        tokenizer: None if the checkpoint had none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = m = read_verified(folder, DecoderManifest)
        path = folder / m.decoder.file
        self.weights: GgufModel | OnnxModel
        try:
            self.weights = OnnxModel(path) if path.suffix == ".onnx" else GgufModel(str(path))
        except (ValueError, RuntimeError) as error:
            raise ModelError(str(error)) from None
        self.tokenizer = Tokenizer(folder / m.tokenizer) if m.tokenizer else None

    def ring(self, *, n_sinks: int | None = None, window: int | None = None) -> Decoder:
        """A stream's memory; what is not given is as in model.toml."""
        spec = self.manifest.decoder
        n_sinks = spec.n_sinks if n_sinks is None else n_sinks
        window = spec.window if window is None else window
        if isinstance(self.weights, OnnxModel):
            return OnnxDecoder(self.weights, n_sinks=n_sinks, window=window)
        return RingDecoder(self.weights, n_sinks=n_sinks, window=window)


def load_decoder(name: str | os.PathLike[str]) -> DecoderModel:
    """Loads a converted decoder by its folder, or by its name once it is pulled.

    Raises:
        ModelError: it is no such folder, or its files are damaged or not supported.
    """
    return DecoderModel(find(name))
