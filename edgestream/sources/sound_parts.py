# SPDX-License-Identifier: Apache-2.0
"""Where the sound lies in a file, whatever its header says: cut files, wrong sizes, chained ones.

libsndfile takes a header at its word. Here each part of a file gets a header that says what is
there. Layouts: RIFF and WAVE (IBM and Microsoft 1991), RF64 (EBU Tech 3306), W64 (Sony), AIFF
(Apple 1989), AU (Sun), CAF (Apple), Ogg (RFC 3533), MPEG audio (ISO 11172-3, 13818-3).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

ENDLESS = 1 << 40  # bytes of what has no end yet, such as a pipe
UNKNOWN_BYTES = 0x7FFF0000  # programs that cannot go back to a header state this or more
MAX_CHUNKS = 1000
KEPT_CHUNK_BYTES = 1 << 16
PLAIN_CAF = (b"lpcm", b"ulaw", b"alaw")
KEPT_CHUNKS = (b"fmt ", b"fact")
WORD = 1 << 32


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end` of a file behind a `head` of their own.

    `missing`: bytes that the file should have beyond its end. `cut`: some are missing, nobody knows
    how many. `guessed`: its decoder states a length that is none of the file's.
    """

    start: int
    end: int
    head: bytes = b""
    missing: int = 0
    cut: bool = False
    guessed: bool = False


class ReadOnlyFile(io.RawIOBase):
    """A file of a known length that is read from a place that can be chosen."""

    def __init__(self, length: int) -> None:
        self._length, self._at = length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begins = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}
        self._at = max(0, begins[whence] + offset)
        return self._at


class PartFile(ReadOnlyFile):
    """A part of a file as a file; its handle may be used by one at a time."""

    def __init__(self, handle: BinaryIO, part: Part) -> None:
        super().__init__(len(part.head) + part.end - part.start)
        self._handle, self._part = handle, part

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        n_bytes = max(0, min(len(view), self._length - self._at))
        head = self._part.head[self._at : self._at + n_bytes]
        view[: len(head)] = head
        done = len(head)
        if done < n_bytes:
            self._handle.seek(self._part.start + self._at + done - len(self._part.head))
            rest = self._handle.read(n_bytes - done)
            view[done : done + len(rest)] = rest
            done += len(rest)
        self._at += done
        return done


def find_parts(file: BinaryIO, size: int) -> list[Part]:
    """The parts of a sound file of `size` bytes, in order; what is not understood is one part.

    `file` need only go forward, as a pipe of which the beginning is kept: then `size` is ENDLESS.
    """
    start = _at(file, 0, 12)
    find: Callable[[BinaryIO, int], list[Part]] | None = None
    if start[:4] in (b"RIFF", b"RF64", b"BW64") and start[8:] == b"WAVE":
        find = _find_wave
    elif start[:4] == b"riff":
        find = _find_w64
    elif start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
        find = _find_aiff
    elif start[:4] == b".snd":
        find = _find_au
    elif start[:4] == b"caff":
        find = _find_caf
    try:
        return (find(file, size) if find else []) or [Part(0, size)]
    except (struct.error, OSError, ValueError):  # it ends within its header, or leads nowhere
        return [Part(0, size)]


def _find_wave(file: BinaryIO, size: int) -> list[Part]:
    parts, base = [], 0
    while base >= 0:
        part, base = _wave(file, base, size)
        parts += [part] if part else []
    return parts


def _wave(file: BinaryIO, base: int, size: int) -> tuple[Part | None, int]:
    """The RIFF file at `base`, and where another one follows, or -1."""
    at, kept, long_bytes = base + 12, b"", 0
    for _ in range(MAX_CHUNKS):
        name, stated = struct.unpack("<4sI", _at(file, at, 8))
        if name == b"data":
            begin = at + 8
            stated = long_bytes if long_bytes and stated == WORD - 1 else stated
            end, missing = _end_of_data(file, begin, stated, size)
            follows = _at(file, end, 4) if size != ENDLESS and end < size else b""
            head = wave_head(kept, end - begin)
            again = end if follows in (b"RIFF", b"RF64") else -1
            if base == 0 and again < 0 and size != ENDLESS and end - begin == stated:
                return None, -1  # the header is right
            return (Part(begin, end, head, missing) if kept and end > begin else None), again
        payload = _at(file, at + 8, stated) if stated <= KEPT_CHUNK_BYTES else b""
        if name in KEPT_CHUNKS:
            kept += struct.pack("<4sI", name, stated) + payload + b"\0" * (stated % 2)
        elif name == b"ds64":
            long_bytes = struct.unpack_from("<Q", payload, 8)[0]
        at += 8 + stated + stated % 2
    return None, -1


def _find_w64(file: BinaryIO, size: int) -> list[Part]:
    at, kept = 40, b""
    for _ in range(MAX_CHUNKS):
        name, stated = struct.unpack("<4s12xQ", _at(file, at, 24))
        n_bytes = stated - 24
        if name == b"data":
            available = size - at - 24
            n_bytes = n_bytes if 0 < n_bytes < ENDLESS else available
            end = at + 24 + min(n_bytes, available)
            missing = max(0, n_bytes - available)
            return [Part(at + 24, end, wave_head(kept, end - at - 24), missing)] if kept else []
        if name in KEPT_CHUNKS and 0 < n_bytes <= KEPT_CHUNK_BYTES:
            kept += struct.pack("<4sI", name, n_bytes) + _at(file, at + 24, n_bytes)
        at += max(24, -(-stated // 8) * 8)
    return []


def wave_head(chunks: bytes, n_bytes: int) -> bytes:
    """The header of a WAVE file with `n_bytes` of samples; beyond 4 GiB an RF64."""
    riff_bytes = 4 + len(chunks) + 8 + n_bytes
    if riff_bytes < WORD - 1:
        begin = struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE")
        return begin + chunks + struct.pack("<4sI", b"data", n_bytes)
    long_chunk = struct.pack("<4sIQQQI", b"ds64", 28, riff_bytes + 36, n_bytes, 0, 0)
    begin = struct.pack("<4sI4s", b"RF64", WORD - 1, b"WAVE")
    return begin + long_chunk + chunks + struct.pack("<4sI", b"data", WORD - 1)


def wave_format(head: bytes) -> int:
    """The format tag in a header that `wave_head` made."""
    return int.from_bytes(head[(at := head.index(b"fmt ") + 8) : at + 2], "little")


def _end_of_data(file: BinaryIO, begin: int, stated: int, size: int) -> tuple[int, int]:
    """Where samples end that are said to be `stated` bytes, and how many bytes are missing.

    A size is believed if the file ends there, or other chunks follow; also one that is short of
    multiples of 4 GiB. Otherwise all is samples.
    """
    available = size - begin
    if size == ENDLESS:
        known = 0 < stated < UNKNOWN_BYTES
        return (begin + stated, 0) if known else (size, 0)
    if stated > available:
        return size, 0 if UNKNOWN_BYTES <= stated < WORD else stated - available
    for end in range(begin + stated, size + 1, WORD):
        if end > begin and _is_chain(file, end, size):
            return end, 0
    return size, 0


def _is_chain(file: BinaryIO, at: int, size: int) -> bool:
    """Whether the file ends here, or is whole chunks from here on."""
    for _ in range(MAX_CHUNKS):
        if at >= size - 1:
            return True
        header = _at(file, at, 8)
        if len(header) < 8 or not all(32 <= byte < 127 for byte in header[:4]):
            return False
        if header[:4] in (b"RIFF", b"RF64"):
            return True
        stated = int.from_bytes(header[4:], "little")
        if at + 8 + stated > size:
            return False
        at += 8 + stated + stated % 2
    return False


def _find_aiff(file: BinaryIO, size: int) -> list[Part]:
    at, common, head = 12, -1, bytearray(_at(file, 0, 12))
    for _ in range(MAX_CHUNKS):
        header = _at(file, at, 8)
        name, stated = struct.unpack(">4sI", header)
        if name == b"SSND":
            return _aiff_part(file, at, stated, size, head, common)
        if name == b"COMM":
            common = len(head) + 10
        if stated <= KEPT_CHUNK_BYTES:
            head += header + _at(file, at + 8, stated) + b"\0" * (stated % 2)
        at += 8 + stated + stated % 2
    return []


def _aiff_part(
    file: BinaryIO, at: int, stated: int, size: int, head: bytearray, common: int
) -> list[Part]:
    """`head`: the chunks before the samples; `common`: where it states the number of frames."""
    if common < 0:  # stated behind the samples, which only a whole file can have
        return []
    n_channels, n_frames, bits = struct.unpack_from(">HIH", head, common - 2)
    frame_bytes = n_channels * (bits + 7) // 8
    begin = at + 16
    available = size - begin
    claimed = stated - 8 if 8 < stated < UNKNOWN_BYTES else 0
    n_bytes = min(claimed or available, available)
    missing = max(0, claimed - available)
    if n_frames == 0 or claimed == 0 or missing:
        compressed = bytes(head[8:12]) == b"AIFC" and n_frames
        n_frames = n_frames if compressed else n_bytes // max(1, frame_bytes)
        struct.pack_into(">I", head, common, min(n_frames, WORD - 1))
    struct.pack_into(">I", head, 4, min(len(head) + 8 + n_bytes, WORD - 1))
    head += struct.pack(">4sI", b"SSND", min(n_bytes + 8, WORD - 1)) + _at(file, at + 8, 8)
    return [Part(begin, begin + n_bytes, bytes(head), missing)]


def _find_au(file: BinaryIO, size: int) -> list[Part]:
    begin, stated = struct.unpack(">II", _at(file, 4, 8))
    head = _at(file, 0, min(begin, KEPT_CHUNK_BYTES))
    if not 24 <= begin == len(head):
        return []
    known = 0 < stated < UNKNOWN_BYTES
    missing = max(0, stated - (size - begin)) if known and size != ENDLESS else 0
    end = min(begin + stated, size) if known else size
    n_bytes = end - begin if end - begin < WORD else WORD - 1
    return [Part(begin, end, head[:8] + struct.pack(">I", n_bytes) + head[12:], missing)]


def _find_caf(file: BinaryIO, size: int) -> list[Part]:
    at, head = 8, _at(file, 0, 8)
    for _ in range(MAX_CHUNKS):
        header = _at(file, at, 12)
        name, stated = struct.unpack(">4sq", header)
        if name == b"data":
            available = size - at - 12
            n_bytes = available if stated < 0 else min(stated, available)
            missing = max(0, stated - available)
            head += struct.pack(">4sq", name, n_bytes)
            return [Part(at + 12, at + 12 + n_bytes, head, missing)]
        if stated < 0 or (name == b"desc" and _at(file, at + 20, 4) not in PLAIN_CAF):
            return []  # packets are counted elsewhere
        if stated <= KEPT_CHUNK_BYTES:
            head += header + _at(file, at + 12, stated)
        at += 12 + stated
    return []


def _at(file: BinaryIO, at: int, n_bytes: int) -> bytes:
    file.seek(at)
    return file.read(n_bytes)
