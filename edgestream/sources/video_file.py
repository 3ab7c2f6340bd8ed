# SPDX-License-Identifier: Apache-2.0
"""A video file as a source of pictures, at its own pace or as fast as they are read."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator

from edgestream.errors import SourceError
from edgestream.events import Gap
from edgestream.sources.capture import grab, is_address, open_capture, retrieve, to_rgb
from edgestream.sources.container import Container, look_into
from edgestream.sources.no_video import (
    may_be_still,
    refuse_file,
    refuse_still,
    refuse_text,
    said_of_unopened,
)
from edgestream.sources.picture import SIZE_CHANGED, Picture, Spacing
from edgestream.system.native_work import native_work
from edgestream.system.opencv import cv2

HEADER_SLACK_MS = 500  # some containers state no number of pictures, and it is a guess
USUAL_FPS = 25.0  # of a file that states none


class VideoFileSource:
    """The pictures of a video file, or of one behind an http address; times from the file.

    They are those of its container, where that has sound that begins before the pictures.
    With `pace` none comes before its time, and a reader that is late gets the latest one: those
    between are `skipped`. Without, every picture comes. `fps` thins them first.

    Raises:
        SourceError: there is no such file, or it is no video.
        UsageError: `fps` is not one that a video can have.
    """

    live = False

    def __init__(self, path: str | os.PathLike[str], *, pace: bool, fps: float | None = None):
        self.name = os.fspath(path)
        self.skipped = 0
        self.behind_ms = 0.0
        self._pace = pace
        self._spacing = Spacing(fps)
        self._stopped = False  # a lock here could hang a signal handler that stops us
        self._begun_s: float | None = None  # monotonic clock at the first picture
        self._shown_ms = 0.0  # time of the newest picture
        self._container = Container()
        if not is_address(self.name):
            _expect_regular(self.name)
            refuse_file(self.name)
            self._container = look_into(self.name)
        self._capture = _open_video(self.name, self._container != Container())
        stated_fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._picture_ms = 1000 / (stated_fps if 0 < stated_fps < 1e6 else USUAL_FPS)

    @property
    def duration_ms(self) -> float:
        """Length as the header states it; 0 where it does not."""
        return max(0.0, self._capture.get(cv2.CAP_PROP_FRAME_COUNT) * self._picture_ms)

    @property
    def now_ms(self) -> float:
        """Milliseconds since the first picture; read fast, the time of the newest one."""
        if self._begun_s is None:
            return self._shown_ms
        return 1000 * (time.monotonic() - self._begun_s)

    def __iter__(self) -> Iterator[Picture | Gap]:
        last: Picture | None = None
        n_read, read_ms = 0, 0.0
        for time_ms in self._times():
            n_read, read_ms = n_read + 1, time_ms + self._picture_ms
            if not self._spacing.due(time_ms) or self._overdue(time_ms):
                continue
            frame = retrieve(self._capture)
            if frame is None:
                continue
            picture = Picture(to_rgb(frame, self.name), time_ms)
            self._wait_until_taken(time_ms)
            self._shown_ms = time_ms
            if last is not None and picture.rgb.shape != last.rgb.shape:
                yield Gap(last.time_ms, time_ms, SIZE_CHANGED)
            yield picture
            last = picture
        if n_read == 0 and not self._stopped:
            raise SourceError(
                f"{self.name}: not one of its pictures can be decoded; it is damaged, or there is"
                " too little memory"
            )
        missing_ms = 0.0 if self._stopped else self._missing_ms(n_read, read_ms)
        if missing_ms > HEADER_SLACK_MS:
            yield Gap(read_ms, read_ms + missing_ms, "damaged file")

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._capture.release()

    def _missing_ms(self, n_read: int, read_ms: float) -> float:
        """Of pictures that the file should have behind the last: by their number, where that is
        stated; else only a file that is cut off lacks some."""
        if self._container.counts:
            n_stated = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
            return (n_stated - n_read) * self._picture_ms
        return self.duration_ms - read_ms if self._container.cut else 0.0

    def _first_ms(self, own_ms: float) -> float:
        """Time of the first picture, whose own time is counted from itself, in the container."""
        start_ms = self._container.start_ms
        if start_ms is None:
            return 0.0
        # OpenCV's PTS is in pictures; the least that differs is what rounding makes.
        late_ms = self._capture.get(cv2.CAP_PROP_PTS) * self._picture_ms - own_ms - start_ms
        return late_ms if late_ms > self._picture_ms else 0.0

    def _times(self) -> Iterator[float]:
        """Of each picture in turn; where the file's own do not rise, by its rate."""
        first_ms, time_ms = 0.0, -self._picture_ms
        while not self._stopped and self._grab():
            own_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            if time_ms < 0:
                time_ms = self._first_ms(own_ms)
                first_ms = own_ms - time_ms
            elif own_ms - first_ms > time_ms:
                time_ms = own_ms - first_ms
            else:
                time_ms += self._picture_ms
            yield time_ms

    @native_work()
    def _grab(self) -> bool:
        """A file gives soon, unlike a camera: its end may be waited for."""
        return grab(self._capture)

    def _overdue(self, time_ms: float) -> bool:
        """Whether the time of the picture after this one has come too; then this is skipped."""
        if not self._pace or self._begun_s is None:
            return False
        overdue = time.monotonic() > self._begun_s + (time_ms + self._picture_ms) / 1000
        self.skipped += overdue
        return overdue

    def _wait_until_taken(self, time_ms: float) -> None:
        if not self._pace:
            return
        now_s = time.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
        due_s = self._begun_s + time_ms / 1000
        self.behind_ms = 1000 * max(0.0, now_s - due_s)
        while not self._stopped and (wait_s := due_s - time.monotonic()) > 0:
            time.sleep(min(wait_s, 0.1))  # a file of one picture a minute can be stopped too


def _expect_regular(path: str) -> None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
    if stat.S_ISDIR(found.st_mode):
        raise SourceError(f"{path}: is a directory; name one video file")
    if not stat.S_ISREG(found.st_mode):
        raise SourceError(f"{path}: not a regular file; cameras are numbers or /dev/video*")
    if found.st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    if not os.access(path, os.R_OK):
        raise SourceError(f"{path}: cannot be read: permission denied")


def _open_video(name: str, contained: bool) -> cv2.VideoCapture:
    capture = _opened(name)
    refuse_text(name, capture)
    if may_be_still(capture, contained):
        refuse_still(name, capture)
        capture.release()
        return _opened(name)  # a second picture was tried
    return capture


def _opened(name: str) -> cv2.VideoCapture:
    capture = open_capture(name)
    if capture is None:
        raise SourceError(f"{name}: {said_of_unopened(name)}")
    return capture
