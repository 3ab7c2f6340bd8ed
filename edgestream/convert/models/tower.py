# SPDX-License-Identifier: Apache-2.0
"""The vision towers that are converted: hyper-parameters, and every tensor here and there.

Names and layouts are those that libmtmd's graphs of the pinned llama.cpp read (tools/mtmd).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgestream.convert.checkpoint import PREPROCESSOR, PROCESSOR, Checkpoint
from edgestream.errors import ModelError
from edgestream.library.json_file import Fields, read_json

MAX_WIDTH, MAX_COUNT, MAX_PIXELS = 1 << 16, 1 << 10, 1 << 14
CHANNELS = 3


@dataclass(frozen=True, slots=True)
class TowerTensor:
    """A tensor `there` in the file is the part `index` of the tensor `here` in the checkpoint."""

    there: str
    here: str
    shape: tuple[int, ...]  # of the whole tensor in the checkpoint, as numpy has it
    index: Any = ...

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Shape of the part."""
        shape: tuple[int, ...] = np.broadcast_to(np.float32(0), self.shape)[self.index].shape
        return shape


@dataclass(frozen=True, slots=True)
class TowerSizes:
    """What every tower has."""

    n_layers: int
    n_embd: int
    n_ff: int
    n_heads: int
    patch_size: int  # pixels of a side


@dataclass(frozen=True, slots=True)
class Normalization:
    """Of each channel's numbers from 0 to 1, before the tower."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TowerConfig:
    """Hyper-parameters, checked, and the tensors that follow from them."""

    projector: str  # clip.projector_type of the file
    sizes: TowerSizes
    normalization: Normalization
    image_size: int  # pixels of a side: of all pictures, or that positions were learned on
    n_merge: int  # patches of a side that become one row
    n_out: int  # width of a row in the decoder
    epsilon: float
    gate: str  # gelu or silu: the activation of the feed-forward
    tensors: Callable[[TowerConfig], Iterator[TowerTensor]]
    longest_edge: int = 0  # pixels, to which larger pictures are cut into tiles; 0: they are not
    # Every so-many-th layer sees all of the picture, the others a window of it; 0: each sees all.
    whole_view_step: int | None = None  # None: the kind of tower has no windows
    deepstack_layers: tuple[int, ...] = ()

    @property
    def n_merged(self) -> int:
        """Width of the patches that become one row."""
        return self.sizes.n_embd * self.n_merge**2


def read_sizes(vision: Fields, layers_name: str, heads_name: str) -> TowerSizes:
    """From config.json, which calls two of them by different names.

    Raises:
        ModelError: one is missing or out of range, or libmtmd would take the file for another.
    """
    sizes = TowerSizes(
        n_layers=vision.integer(layers_name, 1, MAX_COUNT),
        n_embd=vision.integer("hidden_size", 1, MAX_WIDTH),
        n_ff=vision.integer("intermediate_size", 1, MAX_WIDTH),
        n_heads=vision.integer(heads_name, 1, MAX_COUNT),
        patch_size=vision.integer("patch_size", 1, MAX_PIXELS),
    )
    if sizes.n_embd % (4 * sizes.n_heads):
        raise ModelError(f"{vision.where}: {sizes.n_heads} heads of rows of {sizes.n_embd}")
    if sizes.n_ff == sizes.n_embd:
        raise ModelError(
            f"{vision.where}: intermediate_size equals hidden_size, which libmtmd takes for an"
            " older kind of file"
        )
    return sizes


def read_preprocessor(checkpoint: Checkpoint) -> Fields:
    """What is done to pictures before the tower; newer checkpoints keep it with the processor's."""
    if not checkpoint.has(PREPROCESSOR) and checkpoint.has(PROCESSOR):
        whole = Fields(read_json(checkpoint.file(PROCESSOR)), str(checkpoint.folder / PROCESSOR))
        return whole.table("image_processor")
    return Fields(read_json(checkpoint.file(PREPROCESSOR)), str(checkpoint.folder / PREPROCESSOR))


def read_normalization(preprocessor: Fields) -> Normalization:
    """Raises ModelError if pictures are not normalized by a mean and a deviation."""
    preprocessor.refuse("do_normalize", True)
    preprocessor.refuse("do_rescale", True)
    mean, deviation = (_per_channel(preprocessor, key) for key in ("image_mean", "image_std"))
    if min(deviation) <= 0:
        raise ModelError(f"{preprocessor.where}: image_std {list(deviation)} must be above 0")
    return Normalization(mean, deviation)


def _per_channel(preprocessor: Fields, key: str) -> tuple[float, ...]:
    numbers = preprocessor.get(key, list)
    fits = [type(x) in (int, float) and abs(x) < 1 << 10 for x in numbers]
    if len(numbers) != CHANNELS or not all(fits):
        raise ModelError(f"{preprocessor.where}: {key} is {numbers!r:.80}, not 3 numbers")
    return tuple(float(x) for x in numbers)


def linear(there: str, here: str, n_out: int, n_in: int) -> Iterator[TowerTensor]:
    """A matrix and its bias."""
    yield TowerTensor(f"{there}.weight", f"{here}.weight", (n_out, n_in))
    yield TowerTensor(f"{there}.bias", f"{here}.bias", (n_out,))


def norm(there: str, here: str, width: int) -> Iterator[TowerTensor]:
    """A layer norm's weight and bias."""
    yield TowerTensor(f"{there}.weight", f"{here}.weight", (width,))
    yield TowerTensor(f"{there}.bias", f"{here}.bias", (width,))
