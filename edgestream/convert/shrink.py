# SPDX-License-Identifier: Apache-2.0
"""Makes the encoder of a model that edgestream runs smaller: weights in int8 or in 4 bits."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgestream.convert.onnx.quantize import to_int4, to_int8
from edgestream.convert.onnx.stream import Floats
from edgestream.library.external_weights import external_files
from edgestream.library.folders import read_verified
from edgestream.library.manifest.concatenated import ConcatenatedManifest
from edgestream.library.manifest.write import write_manifest
from edgestream.scoring.captioned import score_clips, total
from edgestream.scoring.clips import BUNDLED, RATE_HZ, Clip, read_clips
from edgestream.sources.resample import resampled
from edgestream.speech.concatenated.model import Model
from edgestream.speech.concatenated.stages import ConcatenatedStages

MORE_ERRORS = 0.02  # of words, that the quantized encoder may cost
WRITERS = {"int8": to_int8, "int4": to_int4}


@dataclass(frozen=True, slots=True)
class Words:
    """Shares of the words of the bundled clips that were wrong before and after, and how far off
    the encoder's rows are: the root mean square as a share of their own."""

    before: float
    after: float
    rows_off: float

    @property
    def holds(self) -> bool:
        """Whether the result is as near to its source as it should be."""
        return self.after <= self.before + MORE_ERRORS

    def __str__(self) -> str:
        return (
            f"word errors on the bundled clips {self.before:.1%} before, {self.after:.1%} after"
            f" (bound {self.before + MORE_ERRORS:.1%}); the encoder's rows are off by"
            f" {self.rows_off:.1%}"
        )


def write_with_small_encoder(source: Path, folder: Path, name: str, quant: str) -> int:
    """Copies a model's folder with its encoder's weights in `quant`, a key of WRITERS. Returns the
    bytes of the source's files.

    Raises:
        ModelError: the model is damaged, or its encoder cannot be quantized.
    """
    manifest = read_verified(source, ConcatenatedManifest)
    encoder = manifest.encoder.file
    for file in set(manifest.files) - {encoder, *external_files(source / encoder)}:
        shutil.copyfile(source / file, folder / file)
    WRITERS[quant](source / encoder, folder / encoder)
    write_manifest(folder, dataclasses.replace(manifest, name=name))
    Model(folder)  # what cannot be loaded is not delivered
    return sum((source / file).stat().st_size for file in manifest.files)


def compare_words(source: Path, folder: Path) -> Words:
    """Both models on the sentences that come with edgestream."""
    clips, shares, rows = read_clips(BUNDLED), [], []
    for each in (source, folder):
        model = Model(each)
        stream = model.stream(rate_hz=RATE_HZ)
        shares.append(total(score_clips(stream, clips).values()).wer)
        rows.append(np.concatenate([_rows(model, clip) for clip in clips]))
    off = np.square(rows[0] - rows[1]).mean() / np.square(rows[0]).mean()
    return Words(shares[0], shares[1], float(np.sqrt(off)))


def _rows(model: Model, clip: Clip) -> Floats:
    """What the encoder gives for a clip [n, n_embd]."""
    stages = model.stream().stages
    assert isinstance(stages, ConcatenatedStages)  # as the manifest says
    samples = resampled(clip.samples, RATE_HZ, model.manifest.audio.sample_rate_hz)
    return stages.embeddings(samples)
