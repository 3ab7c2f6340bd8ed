# SPDX-License-Identifier: Apache-2.0
"""Ogg, mp3 and flac files that were joined end to end: where each begins, and whether it is whole.

libsndfile hears the first alone. Ogg pages as in RFC 3533, MPEG frames as in ISO 11172-3, 13818-3.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from edgestream.sources.sound_parts import Part

FLAC, STREAMINFO_BYTES = b"fLaC", b"\x00\x00\x22"  # mark, and length of the block behind it
OGG, BEGINS, ENDS = b"OggS", 2, 4  # a page's mark; flags of a stream's first and last page
PAGE_HEADER_BYTES = 27
ID3_BYTES = 10
KBPS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # MPEG 1, layer III
KBPS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG 2 and 2.5
RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
LENGTHS = (b"Xing", b"Info", b"VBRI")  # a first frame says with it how long its file is


def find_links(file: BinaryIO, kind: str) -> list[Part]:
    """The files of a `kind` of FINDERS that were joined to this one; empty if none can be made
    out."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return FINDERS[kind](data)


def _between(begins: list[int], end: int) -> list[Part]:
    ends = [*begins[1:], end] if begins else []
    return [Part(one, other) for one, other in zip(begins, ends, strict=True)]


def _flac(data: mmap.mmap) -> list[Part]:
    begins, at = [], 0
    while (at := data.find(FLAC, at)) >= 0:
        if data[at + 4] & 0x7F == 0 and data[at + 5 : at + 8] == STREAMINFO_BYTES:
            begins.append(at)
        at += len(FLAC)
    return _between(begins, len(data)) if len(begins) > 1 else []


def _ogg(data: mmap.mmap) -> list[Part]:
    begins: list[int] = []
    whole: list[bool] = []  # of each link, whether its last page is one and there
    at, was_first = 0, False
    while (at := data.find(OGG, at)) >= 0 and at + PAGE_HEADER_BYTES <= len(data):
        flags, n_segments = data[at + 5], data[at + 26]
        segments = data[at + PAGE_HEADER_BYTES : at + PAGE_HEADER_BYTES + n_segments]
        end = at + PAGE_HEADER_BYTES + n_segments + sum(segments)
        if flags & BEGINS and not was_first:  # streams that run side by side begin together
            begins.append(at)
            whole.append(False)
        was_first = bool(flags & BEGINS)
        if whole:
            whole[-1] = bool(flags & ENDS) and end <= len(data)
        # A page that was cut off reaches into what follows it.
        at = end if data[end : end + 4] == OGG else at + len(OGG)
    parts = _between(begins, len(data))
    return [replace(part, cut=not is_whole) for part, is_whole in zip(parts, whole, strict=True)]


def _mp3(data: mmap.mmap) -> list[Part]:
    begins: list[int] = []
    stated: list[bool] = []  # of each link, whether its first frame says how long it is
    at, tag_at = 0, -1
    while at + 4 <= len(data):
        if data[at : at + 3] == b"ID3":
            tag_at = at
            at += _id3_bytes(data[at : at + ID3_BYTES])
            continue
        n_bytes = mp3_frame_bytes(data[at : at + 4])
        if not n_bytes or not (begins or mp3_frame_bytes(data[at + n_bytes : at + n_bytes + 4])):
            at = data.find(b"\xff", at + 1)  # before the first frame, in damage, in a tag behind
            if at < 0:
                break
            continue
        states = any(mark in data[at + 4 : at + 48] for mark in LENGTHS)
        if not begins or states:
            begins.append(tag_at if tag_at >= 0 else at)
            stated.append(states)
        tag_at = -1
        at += n_bytes
    parts = _between(begins, len(data))
    return [replace(part, guessed=not states) for part, states in zip(parts, stated, strict=True)]


FINDERS: dict[str, Callable[[mmap.mmap], list[Part]]] = {"ogg": _ogg, "mp3": _mp3, "flac": _flac}


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
