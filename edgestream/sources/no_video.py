# SPDX-License-Identifier: Apache-2.0
"""What is no video, told by its first bytes: "report.txt: is text, not video; give a camera, ...".

FFmpeg would play a text as a terminal shows it, and a photo as a video of one picture.
"""

from __future__ import annotations

import http.client
import urllib.request

from edgestream.errors import SourceError
from edgestream.library.stand_in import stand_in
from edgestream.sources.capture import OPEN_TIMEOUT_MS, grab, is_address
from edgestream.sources.sound_kind import DECODED, SAMPLES, kind_of
from edgestream.system.opencv import cv2

HEAD_BYTES = 4096
ELSE = "give a camera, an address or a video file"
LISTEN = "edgestream listen captions sound"
UNPACK = "unpack it and give the video in it"
PAGE = "an HTML page"
STREAM_ITSELF = "give the address of the stream that it shows"
STILL = "a still image"
ITS_STREAM = "give the address of the camera's stream"
PNG = b"\x89PNG\r\n\x1a\n"
# What it is, the way out, and what stands where.
MARKS = (
    ("a still image (PNG)", ELSE, 0, PNG),
    ("a still image (WebP)", ELSE, 8, b"WEBP"),
    ("a still image (TIFF)", ELSE, 0, b"II*\0"), ("a still image (TIFF)", ELSE, 0, b"MM\0*"),
    ("a still image (PSD)", ELSE, 0, b"8BPS"),
    *((f"a still image ({kind})", ELSE, 4, b"ftyp" + brand) for kind, brand in (
        ("HEIF", b"heic"), ("HEIF", b"heix"), ("HEIF", b"mif1"), ("AVIF", b"avif"))),
    *(("sound (m4a)", LISTEN, 4, b"ftyp" + brand) for brand in (b"M4A ", b"M4B ")),
    ("a PDF document", ELSE, 0, b"%PDF-"),
    ("an office document", ELSE, 0, b"\xd0\xcf\x11\xe0"),
    ("a ZIP archive or an office document", UNPACK, 0, b"PK\x03\x04"),
    ("a 7z archive", UNPACK, 0, b"7z\xbc\xaf\x27\x1c"),
    ("a RAR archive", UNPACK, 0, b"Rar!\x1a\x07"),
    ("packed by gzip", UNPACK, 0, b"\x1f\x8b\x08"), ("packed by bzip2", UNPACK, 0, b"BZh"),
    ("packed by xz", UNPACK, 0, b"\xfd7zXZ\0"), ("a tar archive", UNPACK, 257, b"ustar"),
    ("a program", ELSE, 0, b"\x7fELF"), ("a database", ELSE, 0, b"SQLite format 3\0"),
)  # fmt: skip
MOVING = b"acTL"  # a chunk of a PNG before its pictures
# Video that begins like text: raw pictures, and lists of pieces of video.
VIDEO_IN_TEXT = (b"YUV4MPEG2", b"#EXTM3U", b"ffconcat", b"v=0")
HTML = (b"<!doctype html", b"<html", b"<head", b"<body")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
NOT_IN_TEXT = bytes({*range(32), 127} - set(b"\t\n\r\f\x1b"))  # escapes colour a terminal's text
OF_TEXT = "ansi"  # FFmpeg's codec of texts
COVER_FPS = 90_000  # what FFmpeg states of a picture that has no time
OF_PICTURES = ("MJPG", "MPNG", "gif ", "webp", "tiff", "mjp2", "\0\0\0\0")  # of still ones, too


def refuse_file(path: str) -> None:
    """Raises SourceError where the first bytes of a file say that it is no video."""
    if said := stand_in(path):
        raise SourceError(f"{path}: {said}")
    with open(path, "rb") as file:
        _refuse(path, _else(file.read(HEAD_BYTES)))


def refuse_answer(address: str) -> None:
    """The same of what an http server gives: a page, a photo. Whether it answers is not told."""
    request = urllib.request.Request(address, headers={"User-Agent": "edgestream"})
    try:
        with urllib.request.urlopen(request, timeout=OPEN_TIMEOUT_MS / 1000) as answer:
            kind = answer.headers.get_content_type()
            if kind.startswith("multipart/"):  # a camera, whose first picture may be long in coming
                return
            found = _else(answer.read1(HEAD_BYTES))
    except (OSError, ValueError, http.client.HTTPException):  # whoever opens it will say so
        return
    if kind.startswith("image/") and kind != "image/gif":
        found = found or (STILL, ITS_STREAM)
    _refuse(address, found)


def refuse_text(name: str, capture: cv2.VideoCapture) -> None:
    """Raises SourceError where FFmpeg opened a text, which it would show as on a terminal."""
    if _codec(capture) == OF_TEXT:
        capture.release()
        _refuse(name, ("text", ELSE))


def may_be_still(capture: cv2.VideoCapture, contained: bool) -> bool:
    """Whether what was opened is of a kind that has one picture as often as many.

    `contained` in a video's container, a single picture is one only as the cover of sound.
    """
    covers = capture.get(cv2.CAP_PROP_FPS) >= COVER_FPS
    return _codec(capture) in OF_PICTURES and (covers or not contained)


def refuse_still(name: str, capture: cv2.VideoCapture) -> None:
    """Raises SourceError where the first picture is the last; takes two from `capture`."""
    if grab(capture) and not grab(capture):
        capture.release()
        _refuse(name, (STILL, ELSE))


def said_of_unopened(name: str) -> str:
    """What a file is that FFmpeg finds no video in, and the way out."""
    if not is_address(name):
        with open(name, "rb") as file:
            kind = kind_of(file.read(HEAD_BYTES), ended=True) or SAMPLES
        if kind.decoded or kind.name.startswith("aac"):
            return f"is sound ({kind.name}), not video; {LISTEN}"
    return (
        "not video that can be read: sound alone, damaged or cut off; give mp4, mkv, webm, avi or"
        " another that FFmpeg knows"
    )


def _codec(capture: cv2.VideoCapture) -> str:
    """Four letters."""
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    return code.to_bytes(4, "little").decode("latin-1")


def _refuse(name: str, found: tuple[str, str] | None) -> None:
    if found:
        raise SourceError(f"{name}: is {found[0]}, not video; {found[1]}")


def _else(head: bytes) -> tuple[str, str] | None:
    """What begins with `head`, if it is no video, and the way out."""
    if head.startswith(VIDEO_IN_TEXT) or (head.startswith(PNG) and MOVING in head):
        return None
    for name, way_out, at, mark in MARKS:
        if head[at : at + len(mark)] == mark:
            return name, way_out
    for name, first, at, mark in DECODED:
        if name != "ogg" and head.startswith(first) and head[at : at + len(mark)] == mark:
            return f"sound ({name})", LISTEN
    return _text(head)


def _text(head: bytes) -> tuple[str, str] | None:
    if head.startswith(UTF_16):
        return "text", ELSE
    if not head or head.translate(None, NOT_IN_TEXT) != head:
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(HTML):
        return PAGE, STREAM_ITSELF
    return ("a drawing (SVG)" if start.startswith(b"<") and b"<svg" in start else "text"), ELSE
