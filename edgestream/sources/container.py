# SPDX-License-Identifier: Apache-2.0
"""What a video's container says of its times, beside what OpenCV tells.

OpenCV counts times from the first picture, and guesses the number of pictures by the length of all
tracks where the container states none. Matroska as in RFC 9559, mp4 as in ISO 14496-12.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
EBML, SEGMENT, INFO, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1F43B675
TIMESTAMP_SCALE, TIMESTAMP = 0x2AD7B1, 0xE7
USUAL_SCALE_NS = 1_000_000
MAX_ELEMENTS = 1000  # before the first cluster


@dataclass(frozen=True, slots=True)
class Container:
    """`counts`: it states how many pictures there are. `start_ms`: where its tracks begin, on the
    clock of their times; None if that is not known. `cut`: its end is missing.
    """

    counts: bool = False
    start_ms: float | None = None
    cut: bool = False


def look_into(path: str) -> Container:
    """What is said of times; of what is not known, nothing."""
    with open(path, "rb") as file:
        start = file.read(12)
        if start[4:8] in MP4_BOXES:
            return Container(counts=True, start_ms=0.0)
        if start[:4] == b"RIFF":
            return Container(counts=True)
        if start[:4] == EBML.to_bytes(4, "big"):
            return _matroska(file)
    return Container()


def _matroska(file: BinaryIO) -> Container:
    n_file_bytes = os.fstat(file.fileno()).st_size
    at, scale_ns, cut = 0, USUAL_SCALE_NS, False
    for _ in range(MAX_ELEMENTS):
        name, at, size = _element(file, at)
        if name == SEGMENT:
            cut = size is not None and at + size > n_file_bytes
            continue  # into it
        if name == CLUSTER:
            time = _child(file, at, size, TIMESTAMP)
            return Container(start_ms=(time or 0) * scale_ns / 1e6, cut=cut)
        if name == INFO:
            scale_ns = _child(file, at, size, TIMESTAMP_SCALE) or scale_ns
        if size is None or at + size >= n_file_bytes:
            break
        at += size
    return Container(cut=cut)


def _child(file: BinaryIO, at: int, size: int | None, wanted: int) -> int | None:
    """The number in the child `wanted` of the element whose payload is at `at`."""
    end = at + (size if size is not None else 1 << 40)
    for _ in range(MAX_ELEMENTS):
        if at >= end:
            break
        name, at, n_bytes = _element(file, at)
        if name == 0 or n_bytes is None:
            break
        if name == wanted and n_bytes <= 8:
            file.seek(at)
            return int.from_bytes(file.read(n_bytes), "big")
        at += n_bytes
    return None


def _element(file: BinaryIO, at: int) -> tuple[int, int, int | None]:
    """Id of the element at `at`, where its payload is, and of how many bytes; None: unknown."""
    file.seek(at)
    header = file.read(12)
    if not header or not header[0]:
        return 0, at, None
    id_bytes = 9 - header[0].bit_length()
    rest = header[id_bytes:]
    if id_bytes > 4 or not rest or not rest[0]:
        return 0, at, None
    size_bytes = 9 - rest[0].bit_length()
    size = int.from_bytes(rest[:size_bytes], "big") & (1 << 7 * size_bytes) - 1
    known = size != (1 << 7 * size_bytes) - 1
    return (
        int.from_bytes(header[:id_bytes], "big"),
        at + id_bytes + size_bytes,
        size if known else None,
    )
