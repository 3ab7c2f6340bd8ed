# SPDX-License-Identifier: Apache-2.0
"""Writes a GGUF file tensor by tensor: one is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError
from edgestream.library.progress import Progress

if TYPE_CHECKING:
    from pathlib import Path

    import gguf

PLAIN_TYPES = {"f32": 4, "f16": 2, "bf16": 2}  # bytes of a number


class Source(Protocol):
    """Tensors by their names in a checkpoint: a Checkpoint, or a view of one."""

    folder: Path
    model_type: str

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of each tensor by name."""

    @property
    def dtype(self) -> str:
        """F32, F16 or BF16: the type of most matrices."""

    def array(self, name: str) -> NDArray[Any]:
        """A tensor as stored: float32, float16 or bfloat16."""

    def license(self) -> str:
        """The licence of the weights."""


class View:
    """A source over a checkpoint, which gives its tensors other names."""

    def __init__(self, checkpoint: Source) -> None:
        self.folder, self.model_type = checkpoint.folder, checkpoint.model_type
        self.dtype, self.license = checkpoint.dtype, checkpoint.license


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of the file, of a plain type `kind`; `read` gets what is cast to it."""

    name: str
    shape: tuple[int, ...]  # as numpy has it
    kind: str
    read: Callable[[], NDArray[Any]]


def check_shapes(
    source: Source, expected: Mapping[str, tuple[int, ...]], allowed: Collection[str] = ()
) -> None:
    """Raises ModelError unless the source has exactly these tensors, and maybe those `allowed`."""
    shapes = dict(source.shapes)
    for name, shape in expected.items():
        if name not in shapes:
            raise ModelError(f"{source.folder}: the tensor {name} is missing")
        if shapes.pop(name) != shape:
            raise ModelError(
                f"{source.folder}: {name} has the shape {list(source.shapes[name])}, its config"
                f" asks for {list(shape)}"
            )
    others = [name for name in shapes if name not in allowed and not _is_computed(name)]
    if others:
        raise ModelError(
            f"{source.folder}: the tensor {others[0]!r:.100} has no place in {source.model_type}"
        )


def _is_computed(name: str) -> bool:
    """Of old checkpoints, which hold what follows from the config."""
    return name.endswith(("rotary_emb.inv_freq", "rotary_pos_emb.inv_freq"))


def write_tensors(
    writer: gguf.GGUFWriter, tensors: Sequence[StoredTensor], what: str, progress: Progress
) -> None:
    """Writes the whole file; metadata must have been added before. `what` is told as done.

    Raises:
        ModelError: a number is too large for the type.
    """
    import gguf

    for tensor in tensors:
        n_bytes = int(np.prod(tensor.shape, dtype=np.int64)) * PLAIN_TYPES[tensor.kind]
        kind = gguf.GGMLQuantizationType[tensor.kind.upper()]
        writer.add_tensor_info(tensor.name, tensor.shape, np.dtype(np.float32), n_bytes, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for i, tensor in enumerate(tensors):
        writer.write_tensor_data(_cast(tensor.read(), tensor.kind, tensor.name))
        progress(what, i + 1, len(tensors))


def _cast(values: NDArray[Any], kind: str, name: str) -> NDArray[Any]:
    import ml_dtypes

    dtypes = {"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}
    with np.errstate(over="ignore"):
        cast: NDArray[Any] = np.ascontiguousarray(values.astype(dtypes[kind]))
    if kind == "f16" and not np.isfinite(cast).all():
        raise ModelError(f"{name} holds numbers that float16 cannot; convert with --quant bf16")
    return cast
