# SPDX-License-Identifier: Apache-2.0
"""One door to pictures: a camera, a stream or a video file by its name."""

from __future__ import annotations

import os

from edgestream.errors import UsageError
from edgestream.sources.camera import CameraSource
from edgestream.sources.capture import is_address, is_camera, is_pipeline, open_capture
from edgestream.sources.no_video import refuse_answer, refuse_text
from edgestream.sources.picture import PictureSource
from edgestream.sources.video_file import VideoFileSource
from edgestream.system.checks import whole
from edgestream.system.opencv import cv2

MAX_SIDE_PX = 99_999  # that a camera is asked for


def open_pictures(
    where: str | int | os.PathLike[str] | None = None,
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
        SourceError: the file is missing, or what is there is no video but a page, a photo, a text.
        UsageError: an option that cannot be met by this source.
    """
    source = 0 if where is None else where
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if isinstance(source, str) and source.isdecimal():
        source = int(source)
    if isinstance(source, bool) or not isinstance(source, (str, int)):
        raise UsageError(f"source: {source!r:.40} cannot be used; give a camera, address or path")
    if size is not None and (not isinstance(size, tuple) or len(size) != 2):
        raise UsageError(f"size is {size!r:.40}; give (width, height) in pixels")
    for side in size or ():
        whole(side, "size", 1, MAX_SIDE_PX)
    if size is not None and not is_camera(source):
        raise UsageError(f"{source}: a size can only be asked of a camera; leave it out")
    if isinstance(source, int) or is_camera(source) or is_pipeline(source) or _runs_on(source):
        return _live(source, fast, fps, size)
    return VideoFileSource(source, pace=not fast, fps=fps)


def _live(
    source: str | int, fast: bool, fps: float | None, size: tuple[int, int] | None
) -> CameraSource:
    if fast:
        raise UsageError(f"{source}: only a file can be read fast; this goes at the world's pace")
    return CameraSource(source, fps=fps, size=size)


def _runs_on(where: str) -> bool:
    """Whether it is an address without a file behind it, which would state a number of pictures."""
    if not is_address(where):
        return False
    if where.lower().startswith("rtsp"):
        return True
    refuse_answer(where)
    capture = open_capture(where)
    if capture is None:
        return True
    refuse_text(where, capture)
    n_pictures = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return n_pictures <= 0
