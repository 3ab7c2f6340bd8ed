# SPDX-License-Identifier: Apache-2.0
"""A checkpoint's folder as hubs have it: config.json and safetensors, whole or in shards.

Nothing in it is trusted: names in its index are plain names, links stay inside, pickles are never
opened.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError
from edgestream.library.foreign import CONVERT, CTRANSLATE2, foreign
from edgestream.library.json_file import Fields, read_json
from edgestream.library.manifest.manifest import PLAIN_NAME
from edgestream.library.stand_in import refuse_stand_in
from edgestream.onnx.session import one_line

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
# Of models that hear or see; newer ones that see have it within the other.
PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"
CARD, LICENSE = "README.md", "LICENSE"
TEXT_BYTES = 1 << 20  # of a card or a licence
DTYPES = ("F32", "F16", "BF16")
NUMPY_TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "bfloat16"}
LICENSE_LINE = re.compile(r"^license:\s*[\"']?([\w.+-]{1,60})[\"']?\s*$", re.MULTILINE | re.ASCII)


class Checkpoint:
    """Config and tensors by name; tensors are read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        if said := foreign(folder, but=(CONVERT, CTRANSLATE2)):
            raise ModelError(f"{folder}: {said}")
        if not folder.is_dir():
            raise ModelError(f"{folder}: not a folder; give a checkpoint's folder or owner/name")
        self.folder = folder
        self.config = Fields(read_json(self.file(CONFIG)), str(folder / CONFIG))
        self.model_type = self.config.text("model_type")
        self._files: dict[str, tuple[Path, int]] = {}  # of each tensor, where it begins
        self._dtypes: dict[str, str] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def file(self, name: str) -> Path:
        """The path of a file of the checkpoint; a link out of it is refused."""
        path, folder = self.folder / name, self.folder.resolve()
        if not path.is_file():
            raise ModelError(f"{path}: no such file; a checkpoint has {CONFIG} and {WEIGHTS}")
        # In a hub's cache the files of snapshots/COMMIT are links to blobs beside snapshots.
        allowed = (folder, folder.parent.parent / "blobs")
        if not any(path.resolve().is_relative_to(each) for each in allowed):
            raise ModelError(f"{path}: a link that leaves the checkpoint; it is not followed")
        refuse_stand_in(path)
        return path

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.folder / name).is_file()

    @contextmanager
    def opened(self) -> Iterator[Checkpoint]:
        """Opens the weights; names, shapes and arrays are known inside."""
        import ml_dtypes  # noqa: F401  # numpy knows bfloat16 once it is imported
        from safetensors import SafetensorError, safe_open

        self._files.clear()  # of an earlier opening
        with ExitStack() as stack:
            for shard in self.shards():
                path = self.file(shard)
                try:
                    file = stack.enter_context(safe_open(path, framework="numpy"))
                    self._list(file, path)
                except (SafetensorError, OSError, ValueError) as error:
                    raise ModelError(
                        f"{path}: not safetensors, or damaged ({one_line(error)})"
                    ) from None
            yield self

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor by name."""
        return self._shapes

    @property
    def dtype(self) -> str:
        """F32, F16 or BF16: the type of most matrices."""
        kinds = [self._dtypes[name] for name, shape in self._shapes.items() if len(shape) == 2]
        return max(DTYPES, key=kinds.count)

    @property
    def n_bytes(self) -> int:
        """Size of all weights."""
        width = {"F32": 4, "F16": 2, "BF16": 2}
        return sum(
            width[kind] * int(np.prod(self._shapes[name], dtype=np.int64))
            for name, kind in self._dtypes.items()
        )

    def array(self, name: str) -> NDArray[Any]:
        """A tensor as stored: float32, float16 or bfloat16.

        Raises:
            ModelError: it holds a number that is not finite.
        """
        return self._finite(name, self._stored(name))

    def json_file(self, name: str) -> dict[str, Any] | None:
        """The object in a file of the checkpoint; None if there is no such file."""
        return read_json(self.file(name)) if self.has(name) else None

    def license(self) -> str:
        """The licence that the card states in its head; 'unknown' if none."""
        text = self._start(CARD).decode("utf-8", "replace")
        head = text.split("---")[1] if text.startswith("---") else ""
        found = LICENSE_LINE.search(head)
        return found[1] if found else "unknown"

    def copy_license(self, folder: Path) -> None:
        """Puts the licence's own file into a folder, if there is one."""
        if text := self._start(LICENSE):
            (folder / LICENSE).write_bytes(text)

    def _finite(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        if not np.isfinite(values.astype(np.float32)).all():
            raise ModelError(f"{self.folder}: {name} holds a number that is not finite")
        return values

    def _start(self, name: str) -> bytes:
        if not self.has(name):
            return b""
        with self.file(name).open("rb") as file:
            return file.read(TEXT_BYTES)

    def shards(self) -> list[str]:
        """Plain names of the files with weights."""
        if self.has(WEIGHTS):
            return [WEIGHTS]
        if self.has(INDEX):
            index = Fields(read_json(self.file(INDEX)), str(self.folder / INDEX))
            names = list(index.get("weight_map", dict).values())
            for name in names:
                if not isinstance(name, str) or not PLAIN_NAME.fullmatch(name):
                    raise ModelError(f"{index.where}: {name!r:.80} is not the plain name of a file")
            return sorted(set(names))
        raise ModelError(f"{self.folder}: has neither {WEIGHTS} nor {INDEX}")

    def _stored(self, name: str) -> NDArray[Any]:
        """Read by numpy: safetensors' own reader hangs the process where memory is little."""
        path, offset = self._files[name]
        shape = self._shapes[name]
        with path.open("rb") as file:
            file.seek(offset)
            values = np.fromfile(file, np.dtype(NUMPY_TYPES[self._dtypes[name]]), math.prod(shape))
        return values.reshape(shape)

    def _list(self, file: Any, path: Path) -> None:
        begins = _beginnings(path)
        for name in file.keys():  # noqa: SIM118  # not a mapping
            if name in self._files:
                raise ModelError(f"{path}: the tensor {name!r:.80} is in another file as well")
            part = file.get_slice(name)
            self._files[name] = path, begins[name]
            self._shapes[name] = tuple(part.get_shape())
            self._dtypes[name] = str(part.get_dtype())
            if self._dtypes[name] not in DTYPES:
                raise ModelError(
                    f"{path}: the tensor {name!r:.80} is of the type {self._dtypes[name]};"
                    f" converted are {', '.join(DTYPES)}"
                )


def _beginnings(path: Path) -> dict[str, int]:
    """Where each tensor's bytes begin in a file that safetensors found right."""
    with path.open("rb") as file:
        n_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(n_bytes))
    return {
        name: 8 + n_bytes + entry["data_offsets"][0]
        for name, entry in header.items()
        if name != "__metadata__"
    }


def taken(checkpoint: Checkpoint, name: str, *shape: int) -> NDArray[Any]:
    """A tensor as stored, of this shape if one is given.

    Raises:
        ModelError: it is missing, has another shape, or holds a number that is not finite.
    """
    met = checkpoint.shapes.get(name)
    if met is None:
        raise ModelError(f"{checkpoint.folder}: the tensor {name} is missing")
    if shape and met != shape:
        raise ModelError(
            f"{checkpoint.folder}: {name} has the shape {list(met)}, its config asks for"
            f" {list(shape)}"
        )
    return checkpoint.array(name)
