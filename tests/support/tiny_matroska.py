# SPDX-License-Identifier: Apache-2.0
"""Matroska and mp4 with a picture track that begins later than its sound, or ends before it."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np

FPS = 10
AUDIO_HZ = 8000
CLUSTER_S = 1


def shade(turn: int) -> tuple[int, int, int]:
    return 20, 60, 4 * turn % 256


def jpeg(turn: int, size: tuple[int, int] = (64, 48)) -> bytes:
    picture = np.full((size[1], size[0], 3), shade(turn), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def element(name: str, payload: bytes) -> bytes:
    """An EBML element: id in hexadecimal, size in eight bytes, payload."""
    return bytes.fromhex(name) + struct.pack(">Q", 1 << 56 | len(payload)) + payload


def number(name: str, value: int) -> bytes:
    return element(name, value.to_bytes(4, "big"))


def matroska(
    path: Path, *, picture_from_s: float, n_pictures: int, sound_s: float, sound_from_s: float = 0
) -> Path:
    """Pictures as JPEG from `picture_from_s` on, sound as PCM; all by RFC 9559."""
    head = element("1A45DFA3", element("4282", b"matroska") + number("4287", 4) + number("4285", 2))
    end_s = max(picture_from_s + n_pictures / FPS, sound_from_s + sound_s)
    info = number("2AD7B1", 1_000_000) + element("4489", struct.pack(">d", 1000 * end_s))
    video = number("D7", 1) + number("73C5", 1) + number("83", 1) + element("86", b"V_MJPEG")
    video += number("23E383", 10**9 // FPS) + element("E0", number("B0", 64) + number("BA", 48))
    audio = number("D7", 2) + number("73C5", 2) + number("83", 2)
    audio += element("86", b"A_PCM/INT/LIT")
    rate = element("B5", struct.pack(">d", AUDIO_HZ))
    audio += element("E1", rate + number("9F", 1) + number("6264", 16))
    tracks = element("AE", video) + (element("AE", audio) if sound_s else b"")
    blocks = [(picture_from_s + n / FPS, 1, jpeg(n)) for n in range(n_pictures)]
    tenth = bytes(2 * AUDIO_HZ // 10)
    blocks += [(sound_from_s + n / 10, 2, tenth) for n in range(round(sound_s * 10))]
    clusters = b""
    for second in range(int(end_s) + 1):
        inside = sorted(block for block in blocks if second <= block[0] + 1e-6 < second + CLUSTER_S)
        body = number("E7", 1000 * second)
        for time_s, track, data in inside:
            offset_ms = round(1000 * time_s) - 1000 * second
            body += element(
                "A3", bytes([0x80 | track]) + struct.pack(">hB", offset_ms, 0x80) + data
            )
        clusters += element("1F43B675", body) if inside else b""
    segment = element("1549A966", info) + element("1654AE6B", tracks) + clusters
    path.write_bytes(head + element("18538067", segment))
    return path


def delay_mp4(path: Path, delay_s: float) -> Path:
    """Puts an edit list into the picture track of an mp4 (ISO 14496-12): nothing for `delay_s`."""
    data = path.read_bytes()
    moov = data.index(b"moov") - 4
    trak = data.index(b"trak", moov) - 4
    tkhd = data.index(b"tkhd", trak) - 4
    timescale = struct.unpack(">I", data[data.index(b"mvhd", moov) + 16 :][:4])[0]
    (duration,) = struct.unpack(">I", data[tkhd + 4 + 4 + 20 :][:4])
    entries = struct.pack(">IiHH", round(delay_s * timescale), -1, 1, 0)
    entries += struct.pack(">IiHH", duration, 0, 1, 0)
    elst = struct.pack(">I4sII", 16 + len(entries), b"elst", 0, 2) + entries
    edts = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    (tkhd_bytes,) = struct.unpack(">I", data[tkhd : tkhd + 4])
    at = tkhd + tkhd_bytes
    old = b""
    if data[at + 4 : at + 8] == b"edts":  # the writer's own
        old = data[at : at + struct.unpack(">I", data[at : at + 4])[0]]
    grown = len(edts) - len(old)
    out = bytearray(data[:at] + edts + data[at + len(old) :])
    for box in (moov, trak):
        (size,) = struct.unpack(">I", out[box : box + 4])
        struct.pack_into(">I", out, box, size + grown)
    path.write_bytes(out)
    return path
