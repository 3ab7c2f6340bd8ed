# SPDX-License-Identifier: Apache-2.0
"""Which source of pictures a word of the user's names."""

from __future__ import annotations

import cv2

from edgestream.camera import CameraSource
from edgestream.errors import UsageError
from edgestream.picture_source import (
    PictureSource,
    is_address,
    is_camera,
    is_pipeline,
    open_capture,
)
from edgestream.video_file import VideoFileSource


def open_pictures(
    where: str | int | None = None,
    *,
    fast: bool = False,
    fps: float | None = None,
    size: tuple[int, int] | None = None,
) -> PictureSource:
    """Pictures of a camera, a stream or a video file, as an iterator of Pictures and Gaps.

    Args:
        where: a camera's number (None: 0) or /dev/video*, a GStreamer pipeline ending in appsink,
            an rtsp or http address, or the path of a video file.
        fast: read a file as fast as possible instead of at its own pace.
        fps: at most so many pictures a second.
        size: (width, height) to ask of a camera, which may choose another.

    Raises:
        DeviceError: a camera, pipeline or address cannot be opened now.
        SourceError: the file is missing or is no video.
        UsageError: an option that cannot be met by this source.
    """
    source = 0 if where is None else where
    if isinstance(source, str) and source.isdecimal():
        source = int(source)
    if size is not None and not is_camera(source):
        raise UsageError(f"{source}: a size can only be asked of a camera; leave it out")
    if isinstance(source, int) or is_camera(source) or is_pipeline(source):
        return _live(source, fast, fps, size)
    if is_address(source) and not _ends(source):
        return _live(source, fast, fps, size)
    return VideoFileSource(source, pace=not fast, fps=fps)


def _live(
    source: str | int, fast: bool, fps: float | None, size: tuple[int, int] | None
) -> CameraSource:
    if fast:
        raise UsageError(f"{source}: only a file can be read fast; this goes at the world's pace")
    return CameraSource(source, fps=fps, size=size)


def _ends(address: str) -> bool:
    """Whether a file lies behind an http address, which states a number of pictures."""
    if address.lower().startswith("rtsp"):
        return False
    capture = open_capture(address)
    if capture is None:
        return False
    n_pictures = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return n_pictures > 0
