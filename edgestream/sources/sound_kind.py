# SPDX-License-Identifier: Apache-2.0
"""What a stream of bytes is, by its first bytes taken together: samples, or a file of some kind."""

from __future__ import annotations

from dataclasses import dataclass

from edgestream.sources.chained import mp3_frame_bytes

# By what stands where. Those that soundfile decodes, and whether it can while they still come.
DECODED = (
    ("wav", b"RIFF", 8, b"WAVE"), ("wav", b"RF64", 8, b"WAVE"), ("wav", b"BW64", 8, b"WAVE"),
    ("w64", b"riff.\x91\xcf\x11", 24, b"wave"), ("aiff", b"FORM", 8, b"AIFF"),
    ("aiff", b"FORM", 8, b"AIFC"), ("au", b".snd", 0, b""), ("caf", b"caff\x00\x01", 0, b""),
    ("flac", b"fLaC", 0, b""), ("ogg", b"OggS\x00", 0, b""), ("mp3", b"ID3", 0, b""),
    ("voc", b"Creative Voice File\x1a", 0, b""), ("sph", b"NIST_1A\n", 0, b""),
    ("8svx", b"FORM", 8, b"8SVX"), ("8svx", b"FORM", 8, b"16SV"), ("paf", b" paf", 0, b""),
    ("pvf", b"PVF1\n", 0, b""), ("avr", b"2BIT", 0, b""), ("xi", b"Extended Instrument: ", 0, b""),
)  # fmt: skip
STREAMED = ("wav", "au", "flac")
# Those that it does not.
REFUSED = (
    ("mp4 (m4a)", 4, b"ftyp"), ("Matroska (mka, webm)", 0, b"\x1aE\xdf\xa3"),
    ("wma (asf)", 0, b"0&\xb2u\x8ef\xcf\x11"), ("amr", 0, b"#!AMR"), ("wavpack", 0, b"wvpk"),
    ("Monkey's Audio", 0, b"MAC "), ("TTA", 0, b"TTA1"), ("Musepack", 0, b"MPCK"),
    ("DSD", 0, b"DSD \x1c\x00\x00\x00"), ("midi", 0, b"MThd\x00\x00\x00\x06"),
    ("flv", 0, b"FLV\x01"), ("aac (adif)", 0, b"ADIF"), ("RealMedia", 0, b".RMF"),
    ("avi", 8, b"AVI "), ("png", 0, b"\x89PNG\r\n\x1a\n"), ("jpeg", 0, b"\xff\xd8\xff\xe0"),
    ("zip", 0, b"PK\x03\x04"),
    ("gzip", 0, b"\x1f\x8b\x08"), ("bzip2", 0, b"BZh9"), ("xz", 0, b"\xfd7zXZ\x00"),
    ("pdf", 0, b"%PDF-"), ("html", 0, b"<!DOCTYPE"), ("html", 0, b"<html"),
    ("Git LFS pointer", 0, b"version https://git-lfs"),
)  # fmt: skip
HEAD_BYTES = 4096  # enough for two frames of any mp3
MPEG_FRAMES = 3  # that follow each other; two bytes alone may be samples
ADTS_HEADER = 7


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` of what was found, empty for samples; whether it can be decoded, and as it comes."""

    name: str = ""
    decoded: bool = False
    streamed: bool = False


SAMPLES = Kind()


def kind_of(head: bytes, *, ended: bool) -> Kind | None:
    """What begins with `head`; None while more bytes could tell. `ended`: there are no more."""
    waiting = False
    for name, mark, also_at, also in DECODED:
        first, second = _fits(head, 0, mark), _fits(head, also_at, also)
        if first and (second or (ended and second is None)):
            return Kind(name, True, name in STREAMED)
        waiting |= first is not False and second is not False
    for name, at, mark in REFUSED:
        fits = _fits(head, at, mark) if at < 8 or head[:4] == b"RIFF" else False
        if fits:
            return Kind(name)
        waiting |= fits is None
    frames = _mpeg(head)
    waiting |= frames is None
    at = 0 if frames else _frames_within(head)
    if at >= 0:
        name = "mp3" if _adts_bytes(head[at:]) == 0 else "aac (adts)"
        return Kind(name, name == "mp3")
    if head[:4] == b"RIFF" and not waiting:
        return Kind("wav", True, True)  # of a form that nobody knows
    return SAMPLES if ended or not waiting or len(head) >= HEAD_BYTES else None


def _fits(head: bytes, at: int, mark: bytes) -> bool | None:
    """Whether `mark` stands there; None if there are too few bytes and those that are fit."""
    found = head[at : at + len(mark)]
    if found == mark:
        return True
    return None if mark.startswith(found) and len(head) < at + len(mark) else False


def _mpeg(head: bytes) -> bool | None:
    """Whether frames of MPEG audio follow each other; None if there are too few bytes."""
    at = 0
    for _ in range(MPEG_FRAMES):
        if len(head) < at + ADTS_HEADER:
            return None if head[:1] == b"\xff" or not head else False
        n_bytes = mp3_frame_bytes(head[at : at + 4]) or _adts_bytes(head[at:])
        if not n_bytes:
            return False
        at += n_bytes
    return True


def _frames_within(head: bytes) -> int:
    """Where frames of MPEG audio begin to follow each other, as in a radio's stream; or -1."""
    at = head.find(b"\xff", 1)
    while at >= 0:
        if _mpeg(head[at:]):
            return at
        at = head.find(b"\xff", at + 1)
    return -1


def _adts_bytes(header: bytes) -> int:
    """Bytes of the AAC frame that begins with these (ISO 13818-7); 0 if they begin none."""
    if len(header) < ADTS_HEADER or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return 0
    if header[2] >> 2 & 15 > 12:
        return 0
    n_bytes = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return n_bytes if n_bytes > ADTS_HEADER else 0
