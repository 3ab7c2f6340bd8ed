# SPDX-License-Identifier: Apache-2.0
"""`model.bin` of CTranslate2: names, shapes and types first, numbers when they are asked for.

The layout is that of its `ModelSpec.save()` (github.com/OpenNMT/CTranslate2, versions 4 to 6 of the
file), little-endian: version, name and revision of the kind of model, then each variable with its
name, shape, type and bytes, and last names that mean a variable by another name. Texts have their
length before them and a zero behind. Nothing in the file is trusted.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError

VERSIONS = range(4, 7)
MAX_VARIABLES, MAX_NAME_BYTES, MAX_RANK = 1 << 16, 1 << 10, 4
TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
SCALE = "_scale"  # behind a variable's name: whole numbers times 1 / scale of their row are meant
Numbers = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """Where its numbers are; `kind` is a key of TYPES."""

    shape: tuple[int, ...]
    kind: int
    offset: int


class CTranslate2File:
    """The index of a file, read and checked when it is opened."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError when it is damaged, cut off or of a version that is not known."""
        self.path = path
        self.variables: dict[str, Variable] = {}
        try:
            with path.open("rb") as file:
                self._read(file)
        except OSError as error:
            raise ModelError(f"{path}: {error.strerror}") from None
        except (struct.error, UnicodeDecodeError):
            raise self._error("is cut off or damaged") from None

    def array(self, name: str) -> Numbers:
        """The numbers of a variable, as stored, or float32 where it is stored with scales.

        Raises:
            ModelError: the variable or its scales are missing or of other types or shapes.
        """
        values = self.raw(name)
        if values.dtype.kind == "f":
            return values
        scales = self.raw(name + SCALE)
        of_rows = scales.dtype.kind == "f" and scales.shape == values.shape[:1]
        if values.dtype != np.int8 or not of_rows:
            raise self._error(
                f"{name} is {values.dtype} with scales {list(scales.shape)};"
                " converted are float32, float16 and int8 with a scale for each row"
            )
        scales = scales.astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return values.astype(np.float32) / scales

    def raw(self, name: str) -> Numbers:
        """The numbers of a variable, whatever they mean; raises ModelError if it is missing."""
        variable = self.variables.get(name)
        if variable is None:
            raise self._error(f"{name} is missing")
        n = math.prod(variable.shape)
        try:
            values: Numbers = np.fromfile(
                self.path, TYPES[variable.kind], count=n, offset=variable.offset
            )
        except OSError as error:
            raise ModelError(f"{self.path}: {error.strerror}") from None
        if values.size != n:
            raise self._error("is cut off")
        return values.reshape(variable.shape)

    def _read(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        version = _number(file, "I")
        if version not in VERSIONS:
            raise self._error(
                f"no model.bin of CTranslate2, or of a version that is not known ({version})"
            )
        self.model, _ = self._text(file), _number(file, "I")
        n_variables = _number(file, "I")
        if n_variables > MAX_VARIABLES:
            raise self._error(f"says that it has {n_variables} variables")
        for _ in range(n_variables):
            self._read_variable(file, size)
        n_aliases = _number(file, "I")
        if n_aliases > MAX_VARIABLES:
            raise self._error(f"says that it has {n_aliases} other names")
        for _ in range(n_aliases):
            alias, name = self._text(file), self._text(file)
            if name not in self.variables or alias in self.variables:
                raise self._error(f"{alias!r:.80} cannot be another name of {name!r:.80}")
            self.variables[alias] = self.variables[name]
        if file.tell() != size:
            raise self._error(f"has {size - file.tell()} bytes behind its end")

    def _read_variable(self, file: BinaryIO, size: int) -> None:
        name, rank = self._text(file), _number(file, "B")
        if rank > MAX_RANK or name in self.variables:
            raise self._error(f"the variable {name!r:.80} is there twice or has {rank} axes")
        shape = tuple(_number(file, "I") for _ in range(rank))
        kind, n_bytes = _number(file, "B"), _number(file, "I")
        if kind not in TYPES:
            raise self._error(
                f"{name!r:.80} has numbers of the type {kind}; known are float32, float16, int8"
            )
        if math.prod(shape) * np.dtype(TYPES[kind]).itemsize != n_bytes:
            raise self._error(f"{name!r:.80} of shape {list(shape)} has {n_bytes} bytes")
        offset = file.tell()
        if n_bytes > size - offset:
            raise self._error("is cut off")
        self.variables[name] = Variable(shape, kind, offset)
        file.seek(n_bytes, os.SEEK_CUR)

    def _text(self, file: BinaryIO) -> str:
        n_bytes = _number(file, "H")
        if not 1 <= n_bytes <= MAX_NAME_BYTES:
            raise self._error(f"has a name of {n_bytes} bytes")
        text = file.read(n_bytes)
        if len(text) < n_bytes or text[-1]:
            raise self._error("is cut off or damaged")
        return text[:-1].decode("ascii")

    def _error(self, what: str) -> ModelError:
        return ModelError(f"{self.path}: {what}")


def _number(file: BinaryIO, kind: str) -> int:
    form = struct.Struct("<" + kind)
    return int(form.unpack(file.read(form.size))[0])
