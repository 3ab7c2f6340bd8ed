# SPDX-License-Identifier: Apache-2.0
"""A converted vision language model beside its source: both see the same picture and read the
same text around it, and the result reads what the source wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream._native import GgufModel, RingDecoder
from edgestream.convert.models.tower import TowerConfig
from edgestream.convert.verify.decoder import TEXT, Comparison, bound_of, type_of
from edgestream.convert.verify.vlm_source import Floats, run_source
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.library.manifest.manifest import MANIFEST
from edgestream.library.manifest.read import read_manifest
from edgestream.library.manifest.vlm import VlmManifest
from edgestream.vision.vlm.tower import PictureRows, VisionTower

N_BEFORE, N_AFTER, N_WRITTEN = 12, 12, 16  # tokens
CELLS = (9, 11)  # of a picture for towers that take any, down and across: more than a window has
# Allowed root mean square of the differences, as a share of that of the rows: two to three times
# what random weights need. libmtmd has GELU in a table of float16, and by the hyperbolic tangent.
ROW_BOUNDS = {"f32": 1e-3, "f16": 3e-3}


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the rows of a picture, and of the logits behind it."""

    rows: float  # root mean square of differences over that of the rows
    row_bound: float
    logits: Comparison

    @property
    def holds(self) -> bool:
        """Whether the result is as near to its source as its types of weights should be."""
        return self.rows <= self.row_bound and self.logits.holds

    def __str__(self) -> str:
        return f"rows of a picture {self.rows:.2g} off (bound {self.row_bound:g}); {self.logits}"


def compare_vlm(checkpoint: Path, tower: TowerConfig, folder: Path) -> Difference:
    """Runs both.

    Raises:
        UsageError: torch or transformers is not installed.
        ModelError: transformers cannot run the source.
    """
    manifest = read_manifest(folder / MANIFEST, VlmManifest)
    decoder, eye = folder / manifest.decoder.file, folder / manifest.tower.file
    picture = picture_for(tower)
    tokens = Tokenizer(decoder).encode(TEXT, add_special=False)
    before, after = tokens[:N_BEFORE], tokens[N_BEFORE : N_BEFORE + N_AFTER]
    source = run_source(checkpoint, tower, picture, before, after, N_WRITTEN)
    rows, logits = run_result(decoder, eye, picture, before, [*after, *source.written])
    return Difference(
        rows=relative(rows, source.rows),
        row_bound=ROW_BOUNDS[type_of(eye, "v.blk.0.attn_out.weight")],
        logits=Comparison.of_logits(logits, source.logits, bound_of(decoder), None),
    )


def picture_for(tower: TowerConfig) -> NDArray[np.uint8]:
    """Waves of colour with noise, of whole cells, so that nobody resizes it."""
    cell = tower.sizes.patch_size * tower.n_merge
    height, width = [tower.image_size] * 2 if tower.longest_edge else [n * cell for n in CELLS]
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 19 + y / 37), np.cos(x / 53 - y / 17), np.sin((x + 2 * y) / 71)]
    noise = np.random.default_rng(0).normal(0, 20, (height, width, 3))
    return np.clip(128 + 90 * np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def run_result(
    decoder: Path,
    tower: Path,
    picture: NDArray[np.uint8],
    before: list[int],
    after: list[int],
) -> tuple[Floats, Floats]:
    """Rows of the picture, and logits [n_after, n_vocab] behind each token `after` it."""
    model = GgufModel(str(decoder))
    seen = VisionTower(tower, Tokenizer(decoder), n_embd=model.n_embd).push(picture)
    # float32 keys: it is the weights that are compared
    n_rows = len(before) + len(seen.embeddings) + len(after)
    ring = RingDecoder(model, n_sinks=0, window=n_rows, kv_type="f32")
    if before:
        ring.step(_rows_of(model, before))
    ring.step_groups([_group(seen)], logits="none")
    logits = ring.step_groups([(0, _rows_of(model, after))], logits="every")
    return seen.embeddings, logits


def relative(given: Floats, expected: Floats) -> float:
    """Root mean square of the differences over that of what is expected."""
    return float(np.linalg.norm(given - expected) / np.linalg.norm(expected))


def _group(
    seen: PictureRows,
) -> tuple[int, Floats] | tuple[int, Floats, NDArray[np.int32]]:
    return (0, seen.embeddings) if seen.axes is None else (0, seen.embeddings, seen.axes)


def _rows_of(model: GgufModel, tokens: list[int]) -> Floats:
    return np.stack([model.token_embedding(token) for token in tokens])
