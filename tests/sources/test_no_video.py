# SPDX-License-Identifier: Apache-2.0
"""What is no video is refused by what it is, as a file and behind an address; what moves plays."""

import io
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
import soundfile
from test_cli import run
from test_video_file import write

from edgestream.errors import SourceError
from edgestream.sources.camera import CameraSource
from edgestream.sources.no_video import HEAD_BYTES
from edgestream.sources.open_pictures import open_pictures
from edgestream.sources.picture import Picture

N_PICTURES = 12
HTML = b"<!DOCTYPE html>\n<html><body>Welcome to camera 7</body></html>\n"


def pictures():
    for grey in range(N_PICTURES):
        yield np.full((48, 64, 3), 20 * grey, np.uint8)


def image(suffix, picture=None):
    shown = next(pictures()) if picture is None else picture
    return cv2.imencode(suffix, shown)[1].tobytes()


def zipped():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("clip.txt", "x")
    return packed.getvalue()


def sound(format):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16000), 16000, format=format)
    return file.getvalue()


REFUSED = {
    "page.html": (HTML, "an HTML page"),
    "page.mp4": (b"\xef\xbb\xbf \n<HTML>\n", "an HTML page"),  # what it is, not how it is called
    "readme.txt": (b"It was a bright cold day in April.\n" * 40, "text"),  # FFmpeg would play it
    "colours.nfo": (b"\x1b[31mred\x1b[0m\r\n" * 40, "text"),
    "latin.txt": ("Grüße aus Köln\n".encode("latin-1"), "text"),
    "wide.txt": ("Grüße".encode("utf-16"), "text"),
    "drawing.svg": (b"<?xml version='1.0'?>\n<svg width='4'></svg>", "a drawing (SVG)"),
    "paper.pdf": (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
    "clips.zip": (zipped(), "a ZIP archive or an office document"),
    "clips.tar": (b"clip.mp4".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
    "photo.png": (image(".png"), "a still image (PNG)"),
    "photo.tiff": (image(".tiff"), "a still image (TIFF)"),
    "photo.webp": (image(".webp"), "a still image (WebP)"),
    "photo.jpg": (image(".jpg"), "a still image"),
    "photo": (image(".jpg"), "a still image"),
    "photo.bmp": (image(".bmp"), "a still image"),
    "photo.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a still image (HEIF)"),
    "talk.wav": (sound("WAV"), "sound (wav)"),
    "talk.mp3": (sound("MP3"), "sound (mp3)"),
    "talk.ogg": (sound("OGG"), "sound (ogg)"),
    "talk.m4a": (b"\0\0\0\x18ftypM4A \0\0\0\0", "sound (m4a)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_video_is_refused_by_what_it_is(name, tmp_path):
    data, what = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceError) as raised:
        open_pictures(str(path))
    assert str(raised.value).startswith(f"{path}: is {what}, not video; ")
    assert "\n" not in str(raised.value)


def animation():
    found = cv2.Animation()
    found.frames, found.durations = list(pictures()), np.full(N_PICTURES, 40)
    return found


def raw_y4m():
    head = b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n"
    return head + b"".join(b"FRAME\n" + b"a" * (64 * 48 * 3 // 2) for _ in range(N_PICTURES))


@pytest.mark.parametrize("name", ["clip.mjpg", "clip.gif", "clip.png", "clip.y4m", "clip.avi"])
def test_what_moves_plays_whatever_it_is_kept_in(name, tmp_path):
    path = tmp_path / name
    if name == "clip.mjpg":
        path.write_bytes(b"".join(image(".jpg", picture) for picture in pictures()))
    elif name == "clip.y4m":  # grey that looks like text
        path.write_bytes(raw_y4m())
    elif name == "clip.avi":
        write(path, n=N_PICTURES)
    else:
        cv2.imwriteanimation(str(path), animation())
        if name == "clip.png":  # FFmpeg knows pictures that move by the name of the file
            path = path.rename(tmp_path / "clip.apng")
    source = open_pictures(str(path), fast=True)
    played = [item for item in source if isinstance(item, Picture)]
    source.close()
    assert len(played) == N_PICTURES


def test_a_file_of_which_little_is_there_is_not_taken_for_text(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom")
    with pytest.raises(SourceError, match="not video that can be read"):
        open_pictures(str(path))


# Behind addresses.


@contextmanager
def answering(kind, data):
    """The address of a server that answers with this."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/live"
        server.shutdown()


@pytest.mark.parametrize(
    ("kind", "data", "what"),
    [
        ("text/html; charset=utf-8", HTML, "an HTML page"),
        ("text/plain", b"no camera here\n", "text"),
        ("image/jpeg", image(".jpg"), "a still image"),
        ("application/octet-stream", image(".png"), "a still image (PNG)"),
        ("application/pdf", b"%PDF-1.4\n" + bytes(2 * HEAD_BYTES), "a PDF document"),
    ],
)
def test_a_page_instead_of_a_stream_is_refused_by_what_it_is(kind, data, what):
    with answering(kind, data) as address, pytest.raises(SourceError) as raised:
        open_pictures(address)
    assert str(raised.value).startswith(f"{address}: is {what}, not video; ")


def test_pictures_without_an_end_are_a_camera():
    jpegs = b"".join(image(".jpg", picture) for picture in pictures())
    with answering("video/x-motion-jpeg", jpegs) as address:
        source = open_pictures(address)
        assert isinstance(source, CameraSource)
        source.close()


def test_the_command_says_so_and_writes_nothing(tmp_path):
    path, output = tmp_path / "page.html", tmp_path / "out.txt"
    path.write_bytes(HTML)
    done = run("watch", path, "--fast", "-o", output)
    assert (done.returncode, done.stdout, output.exists()) == (2, "", False)
    assert done.stderr == (
        f"edgestream: {path}: is an HTML page, not video; give the address of the stream that it"
        " shows\n"
    )
