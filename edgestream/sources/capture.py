# SPDX-License-Identifier: Apache-2.0
"""What OpenCV reads: cameras, pipelines, addresses and files, and its pictures as RGB."""

from __future__ import annotations

import os
import sys

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import SourceError
from edgestream.system.names import native_name
from edgestream.system.native_work import native_work
from edgestream.system.opencv import cv2

OPEN_TIMEOUT_MS = 5_000  # of an address; OpenCV's own is 30 s
READ_TIMEOUT_MS = 5_000
ADDRESSES = ("rtsp://", "rtsps://", "http://", "https://")
QUIET = "-8"  # FFmpeg's level for nothing at all: stderr is the status line's
MAX_CAMERA = 9999  # OpenCV takes hundreds of thousands and more for other ways to capture
MAX_PIXELS = 100_000_000  # of a picture; a header that states more would take gigabytes


def is_address(where: str) -> bool:
    """Whether `where` names a stream in a network."""
    return where.lower().startswith(ADDRESSES)


def is_camera(where: str | int) -> bool:
    """Whether `where` is a camera of this machine: its number, or its device under /dev."""
    return isinstance(where, int) or where.startswith("/dev/video")


def is_pipeline(where: str) -> bool:
    """Whether `where` is a GStreamer pipeline: elements joined by '!'."""
    return " ! " in where


def open_capture(where: str | int) -> cv2.VideoCapture | None:
    """OpenCV's reader of a camera (number or /dev/video*), pipeline, address or file; or None.

    Each kind has one backend, so that no name is tried as something else: a path is never taken
    for a series of pictures, nor for an address.

    Raises:
        SourceError: its name is none; its pictures are too large; or `where` is a pipeline and this
            OpenCV was built without GStreamer.
    """
    if isinstance(where, str):
        native_name(where, SourceError)
    elif not 0 <= where <= MAX_CAMERA:
        return None
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_TIMEOUT_MS]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS]
    try:
        if isinstance(where, int) or is_camera(where):
            linux = sys.platform == "linux"
            capture = cv2.VideoCapture(where, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
        elif is_pipeline(where):
            _expect_gstreamer()
            capture = cv2.VideoCapture(where, cv2.CAP_GSTREAMER)
        elif is_address(where):
            capture = cv2.VideoCapture(where, cv2.CAP_FFMPEG, timeouts)
        else:
            path = native_name(os.path.abspath(where), SourceError)
            capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    except cv2.error:
        return None
    if not capture.isOpened():
        capture.release()
        return None
    width, height = (capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    if width * height > MAX_PIXELS:
        capture.release()
        raise SourceError(f"{where}: pictures of {width:.0f} x {height:.0f}; make them smaller")
    return capture


def grab(capture: cv2.VideoCapture) -> bool:
    """Takes the next picture, undecoded; False at the end, or where OpenCV fails."""
    try:
        return capture.grab()
    except cv2.error:
        return False


@native_work()
def retrieve(capture: cv2.VideoCapture) -> cv2.typing.MatLike | None:
    """The picture that was grabbed; None where it cannot be decoded."""
    try:
        ok, frame = capture.retrieve()
    except cv2.error:
        return None
    return frame if ok else None


@native_work()
def to_rgb(frame: cv2.typing.MatLike, name: str) -> NDArray[np.uint8]:
    """OpenCV's BGR [h, w, 3], BGRA [h, w, 4] or grey [h, w] as RGB uint8 [h, w, 3]."""
    channels = frame.shape[2] if frame.ndim == 3 else 1
    codes = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    if frame.dtype != np.uint8 or frame.size == 0 or channels not in codes:
        raise SourceError(
            f"{name}: pictures of {frame.dtype} {list(frame.shape)} cannot be used; "
            f"end the pipeline in 'videoconvert ! video/x-raw,format=BGR ! appsink'"
        )
    return np.asarray(cv2.cvtColor(frame, codes[channels]), np.uint8)


def _expect_gstreamer() -> None:
    if "GStreamer:                   YES" in cv2.getBuildInformation():
        return
    raise SourceError(
        "this OpenCV was built without GStreamer, as all from PyPI are; uninstall "
        "opencv-python-headless here and use the system's (Debian, JetPack: python3-opencv)"
    )
