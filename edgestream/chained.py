# SPDX-License-Identifier: Apache-2.0
"""Ogg and mp3 files that were joined end to end: where each begins, and whether the last is whole.

libsndfile hears the first alone. Ogg pages as in RFC 3533, MPEG frames as in ISO 11172-3, 13818-3.
"""

from __future__ import annotations

import mmap
import struct
from typing import BinaryIO

from edgestream.sound_parts import Part

OGG, BEGINS, ENDS = b"OggS", 2, 4  # a page's mark; flags of a stream's first and last page
PAGE_HEADER_BYTES = 27
ID3_BYTES = 10
KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # MPEG 1, layer III
KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG 2 and 2.5
RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
MAX_ZEROS = 4096  # before the first frame
LENGTHS = (b"Xing", b"Info", b"VBRI")  # a first frame says with it how long its file is


def find_links(file: BinaryIO, kind: str) -> list[Part]:
    """The files that were joined to this one, `kind` ogg or mp3; empty if none can be made out."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _ogg(data) if kind == "ogg" else _mp3(data)


def _ogg(data: mmap.mmap) -> list[Part]:
    starts: list[int] = []
    at, ended, whole, was_first = 0, True, True, False
    while (at := data.find(OGG, at)) >= 0 and at + PAGE_HEADER_BYTES <= len(data):
        flags, n_segments = data[at + 5], data[at + 26]
        segments = data[at + PAGE_HEADER_BYTES : at + PAGE_HEADER_BYTES + n_segments]
        end = at + PAGE_HEADER_BYTES + n_segments + sum(segments)
        if flags & BEGINS and not was_first:  # streams that run side by side begin together
            starts.append(at)
        was_first = bool(flags & BEGINS)
        ended, whole = bool(flags & ENDS), end <= len(data)
        at = min(end, len(data))
    ends = [*starts[1:], len(data)]
    parts = [Part(start, end) for start, end in zip(starts, ends, strict=True)]
    if parts and not (ended and whole):
        parts[-1] = Part(parts[-1].start, parts[-1].end, cut=True)
    return parts


def _mp3(data: mmap.mmap) -> list[Part]:
    at = len(data[:MAX_ZEROS]) - len(data[:MAX_ZEROS].lstrip(b"\0"))
    begins, tag_at, heard = [at], -1, False
    while at + 4 <= len(data):
        if data[at : at + 3] == b"ID3":
            tag_at = at
            at += _id3_bytes(data[at : at + ID3_BYTES])
            continue
        n_bytes = mp3_frame_bytes(data[at : at + 4])
        if not n_bytes:  # damage, or a tag at the end
            at = data.find(b"\xff", at + 1)
            if at < 0:
                break
            continue
        if heard and any(mark in data[at + 4 : at + 48] for mark in LENGTHS):
            begins.append(tag_at if tag_at > begins[-1] else at)
        heard, tag_at = True, -1
        at += n_bytes
    ends = [*begins[1:], len(data)]
    return [Part(start, end) for start, end in zip(begins, ends, strict=True)]


def _id3_bytes(header: bytes) -> int:
    if len(header) < ID3_BYTES:
        return ID3_BYTES
    size = 0
    for byte in header[6:10]:
        size = size << 7 | byte & 0x7F
    return ID3_BYTES + size


def mp3_frame_bytes(header: bytes) -> int:
    """Bytes of the layer III frame that begins with these four; 0 if they begin none."""
    if len(header) < 4:
        return 0
    word: int = struct.unpack(">I", header[:4])[0]
    version, layer, kbps, rate = word >> 19 & 3, word >> 17 & 3, word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or version == 1 or layer != 1 or kbps in (0, 15) or rate == 3:
        return 0
    per_kbps, table = (144_000, KBPS_1) if version == 3 else (72_000, KBPS_2)
    return per_kbps * table[kbps] // RATES_HZ[version][rate] + (word >> 9 & 1)
