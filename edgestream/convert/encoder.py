# SPDX-License-Identifier: Apache-2.0
"""Makes the encoder of a model that edgestream runs smaller: int8 by onnxruntime's quantizer."""

from __future__ import annotations

import dataclasses
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgestream.bench_run import score_clips, total
from edgestream.bench_speech import BUNDLED, RATE_HZ, read_clips
from edgestream.config import MANIFEST, ConcatenatedManifest, Manifest
from edgestream.convert.onnx_quant import to_int8
from edgestream.errors import ModelError
from edgestream.library import read_verified, sha256_of
from edgestream.manifest import read_manifest
from edgestream.model import Model

MORE_ERRORS = 0.02  # of words, that the quantized encoder may cost


@dataclass(frozen=True, slots=True)
class Words:
    """Shares of the words of the bundled clips that were wrong before and after."""

    before: float
    after: float

    @property
    def holds(self) -> bool:
        """Whether the result is as near to its source as it should be."""
        return self.after <= self.before + MORE_ERRORS

    def __str__(self) -> str:
        return (
            f"word errors on the bundled clips {self.before:.1%} before, {self.after:.1%} after"
            f" (bound {self.before + MORE_ERRORS:.1%})"
        )


def write_with_small_encoder(source: Path, folder: Path, name: str) -> int:
    """Copies a model's folder with its encoder's weights in int8; activations are quantized as they
    come (dynamic quantization). Returns the bytes of the source's files.

    Raises:
        ModelError: the model is damaged, or onnxruntime cannot quantize its encoder.
    """
    manifest = read_verified(source, ConcatenatedManifest)
    for file in manifest.files:
        if file != manifest.encoder.file:
            shutil.copyfile(source / file, folder / file)
    encoder = folder / manifest.encoder.file
    to_int8(source / manifest.encoder.file, encoder)
    old, new = manifest.files[manifest.encoder.file], sha256_of(encoder)
    text = (source / MANIFEST).read_text("utf-8").replace(old, new)
    text = re.sub(r"(?m)^name = .*$", f'name = "{name}"', text, count=1)
    (folder / MANIFEST).write_text(text, "utf-8")
    _check(folder, dataclasses.replace(
        manifest, name=name, files=manifest.files | {manifest.encoder.file: new}
    ))  # fmt: skip
    return sum((source / file).stat().st_size for file in manifest.files)


def compare_words(source: Path, folder: Path) -> Words:
    """Both models on the sentences that come with edgestream."""
    shares = []
    for each in (source, folder):
        stream = Model(each).stream(rate_hz=RATE_HZ)
        shares.append(total(score_clips(stream, read_clips(BUNDLED)).values()).wer)
    return Words(*shares)


def _check(folder: Path, expected: Manifest) -> None:
    if read_manifest(folder / MANIFEST, ConcatenatedManifest) != expected:
        raise ModelError(f"{folder / MANIFEST}: is written so that its checksums cannot be renewed")
    Model(folder)  # what cannot be loaded is not delivered
