# SPDX-License-Identifier: Apache-2.0
"""Which other files an ONNX file has its weights in, found without onnx or onnxruntime.

ONNX keeps the weights of a graph above 2 GiB in files beside it ("external data"); onnxruntime
opens whatever file inside the folder is named, so a checksum must be known of each.
"""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterator
from pathlib import Path

from edgestream.errors import ModelError

# Of each message of onnx.proto the fields that may lead to a tensor: number to message.
_FIELDS = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
    "entry": {1: "key", 2: "value"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_MAX_VARINT = 10  # bytes


def external_files(path: Path) -> set[str]:
    """The locations that the tensors of an ONNX file name; empty if it has all its weights.

    Raises:
        ModelError: it cannot be read, or is no protobuf.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return set()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _locations(data)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    except (ValueError, IndexError):
        raise ModelError(f"{path}: not an ONNX file, or damaged") from None


def refuse_unnamed_weights(path: Path, named: Collection[str]) -> None:
    """Raises ModelError if an ONNX file has weights in a file that is not one of `named`."""
    for location in sorted(external_files(path)):
        if location not in named:
            raise ModelError(
                f"{path}: has weights in {location!r:.80}, a file that model.toml does not name"
            )


def _locations(data: mmap.mmap) -> set[str]:
    """Walks the messages; a list, not a recursion, so that depth is no weapon."""
    found: set[str] = set()
    waiting = [("model", 0, len(data))]
    while waiting:
        message, start, end = waiting.pop()
        if message == "entry":
            found |= _entry(data, start, end)
            continue
        fields = _FIELDS[message]
        for number, first, last in _parts(data, start, end):
            if number in fields:
                waiting.append((fields[number], first, last))
    return found


def _entry(data: mmap.mmap, start: int, end: int) -> set[str]:
    """The value, if a key is `location`: of fields that come twice parsers take either."""
    keys: set[str] = set()
    values: set[str] = set()
    for number, first, last in _parts(data, start, end):
        if number in _FIELDS["entry"]:
            (keys if number == 1 else values).add(data[first:last].decode("utf-8", "replace"))
    return (values or {""}) if "location" in keys else set()


def _parts(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Of a message each field with bytes: its number, where they begin and end."""
    while at < end:
        tag, at = _varint(data, at)
        number, kind, start = tag >> 3, tag & 7, at
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _BYTES:
            length, start = _varint(data, at)
            at = start + length
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:  # groups, which ONNX never had
            raise ValueError
        if at > end:
            raise ValueError
        if kind == _BYTES:
            yield number, start, at


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value = 0
    for i in range(_MAX_VARINT):
        byte = data[at + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise ValueError
