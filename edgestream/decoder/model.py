# SPDX-License-Identifier: Apache-2.0
"""A decoder alone in a model's folder, as `edgestream convert` writes it, for loops of your own."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from edgestream._native import Decoder
from edgestream.decoder.open import make_ring, open_decoder
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import ModelError
from edgestream.library.folders import find, read_verified
from edgestream.library.manifest.decoder import DecoderManifest
from edgestream.library.manifest.manifest import MANIFEST


class DecoderModel:
    """Weights, manifest and tokenizer; immutable, may be shared between threads.

    Attributes:
        weights: for a RingDecoder or an OnnxDecoder with options of your own.
        tokenizer: None if the checkpoint had none.
    """

    def __init__(self, folder: Path, *, device: str | None = None) -> None:
        self.folder = folder
        self.manifest = m = read_verified(folder, DecoderManifest)
        self.weights = open_decoder(folder, m.decoder, device)
        self.tokenizer = Tokenizer(folder / m.tokenizer) if m.tokenizer else None

    def ring(self, *, n_sinks: int | None = None, window: int | None = None) -> Decoder:
        """A stream's memory; what is not given is as in model.toml."""
        spec = self.manifest.decoder
        asked = replace(
            spec,
            n_sinks=spec.n_sinks if n_sinks is None else n_sinks,
            window=spec.window if window is None else window,
        )
        try:
            return make_ring(self.weights, asked)
        except ValueError as error:
            if asked != spec:
                raise
            raise ModelError(f"{self.folder / MANIFEST}: {error}") from None


def load_decoder(name: str | os.PathLike[str], *, device: str | None = None) -> DecoderModel:
    """Loads a converted decoder by its folder, or by its name once it is pulled.

    It computes on `device`, or on what its manifest names.

    Raises:
        ModelError: it is no such folder, or its files are damaged or not supported.
    """
    return DecoderModel(find(name), device=device)
