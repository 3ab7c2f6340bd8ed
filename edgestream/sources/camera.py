# SPDX-License-Identifier: Apache-2.0
"""Live pictures: a thread that reads a camera into a slot for one, where the latest wins."""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from edgestream.errors import DeviceError, SourceError
from edgestream.events import Gap, Notice
from edgestream.sources.capture import (
    grab,
    is_address,
    is_camera,
    is_pipeline,
    open_capture,
    retrieve,
    to_rgb,
)
from edgestream.sources.picture import SIZE_CHANGED, Picture, Spacing, Waiting
from edgestream.system.opencv import cv2

LOST = "camera lost"
RECONNECTING = f"{LOST}, reconnecting"
LOST_AFTER_S = 2.0  # a camera that shows nothing for this long is gone or frozen
RETRY_FIRST_S = 0.5  # then doubled each time
RETRY_MAX_S = 8.0
POLL_S = 0.05  # how soon stop() is seen
WAITING_S = 0.25  # between two items that say that it is waited for
CLOSE_WAIT_S = 1.0  # a read that hangs longer is left to its thread, which ends after it


@dataclass(frozen=True, slots=True)
class _Taken:
    """A picture as it was taken."""

    frame: cv2.typing.MatLike
    taken_s: float  # on the monotonic clock
    connection: int  # counts how often the camera was opened


class CameraSource:
    """Pictures of a camera (number or /dev/video*), GStreamer pipeline or network address.

    Read by a thread of their own, so that nothing queues: a reader that is late gets the latest
    picture, the others are `skipped`. A camera that vanishes or freezes is opened again, with
    growing pauses, until it is back; the clock runs on. That begins with a Notice and ends with a
    Gap "camera lost", at the latest when the source is stopped; between them Waiting comes a few
    times a second. A changed size is a Gap too. `size` (width, height) is asked of the camera,
    which may choose another. More pictures than `fps` are thinned, undecoded; the camera keeps its
    own rate: at a lower one its pictures would be older when they come. Pictures end only with
    `stop()`.

    Raises:
        DeviceError: it cannot be opened now.
        SourceError: a pipeline, and this OpenCV knows none; or pictures of an unknown format.
        UsageError: `fps` is not one that a camera can have.
    """

    live = True

    def __init__(
        self, where: str | int, *, fps: float | None = None, size: tuple[int, int] | None = None
    ) -> None:
        self.name = f"camera {where}" if isinstance(where, int) else where
        self.behind_ms = 0.0
        self._where = where
        self._size = size
        self._spacing = Spacing(fps)
        self._slot = _Slot()
        self._stopped = False  # a lock here could hang a signal handler that stops us
        self._yielded = 0
        self._begun_s = self._came_s = time.monotonic()  # the last picture, thinned ones too
        self._last: Picture | None = None
        self._last_connection = 0
        self._accounted_ms = 0.0  # up to here time went into pictures or gaps
        self._lost = False  # between a noticed loss and the first picture after it
        capture = self._open()
        if capture is None:
            raise DeviceError(f"{self.name}: cannot be opened; {_way_out(where)}")
        self._came_s = time.monotonic()  # opening may have taken seconds
        self._thread = threading.Thread(target=self._read, args=(capture,), daemon=True)
        self._thread.start()
        atexit.register(self.close)  # a read that comes back later would end in the middle of C++

    @property
    def skipped(self) -> int:
        return max(0, self._slot.put_count - self._yielded - self._slot.waiting)

    def __iter__(self) -> Iterator[Picture | Gap | Notice | Waiting]:
        while not self._stopped:
            taken = self._slot.take(WAITING_S if self._lost else POLL_S)
            if taken is not None:
                yield from self._shown(taken)
            elif self._lost:
                yield Waiting(self._accounted_ms, self.now_ms)
            elif time.monotonic() - self._came_s > LOST_AFTER_S:
                self._lost = True
                yield Notice(self._accounted_ms, RECONNECTING)
        if self._lost:
            yield self._gap(self.now_ms, LOST)

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._stopped = True
        self._thread.join(CLOSE_WAIT_S)
        atexit.unregister(self.close)

    @property
    def now_ms(self) -> float:
        """Milliseconds since the camera was opened first."""
        return 1000 * (time.monotonic() - self._begun_s)

    def _shown(self, taken: _Taken) -> Iterator[Picture | Gap]:
        """The picture, after the Gap that lies before it, if any."""
        # It may have been taken while its loss was being reported: times only rise.
        time_ms = max(self._accounted_ms, 1000 * (taken.taken_s - self._begun_s))
        picture = Picture(to_rgb(taken.frame, self.name), time_ms)
        if self._lost or taken.connection != self._last_connection:
            yield self._gap(picture.time_ms, LOST)
        elif self._last is not None and picture.rgb.shape != self._last.rgb.shape:
            yield self._gap(picture.time_ms, SIZE_CHANGED)
        self._lost, self._last, self._last_connection = False, picture, taken.connection
        self._accounted_ms = picture.time_ms
        self._yielded += 1
        self.behind_ms = self.now_ms - picture.time_ms
        yield picture

    def _gap(self, until_ms: float, reason: str) -> Gap:
        """From what was last accounted for until `until_ms`."""
        start_ms, self._accounted_ms = self._accounted_ms, until_ms
        return Gap(start_ms, until_ms, reason)

    def _open(self) -> cv2.VideoCapture | None:
        capture = open_capture(self._where)
        if capture is None or not is_camera(self._where):
            return capture
        if self._size is not None:
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._size[0])
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._size[1])
        return capture

    def _open_again(self) -> cv2.VideoCapture | None:
        try:
            return self._open()
        except SourceError:  # of too large pictures now: as good as away
            return None

    def _read(self, capture: cv2.VideoCapture | None) -> None:
        """On the capture thread: pictures into the slot; opens again what broke off."""
        connection, retry_s = 0, RETRY_FIRST_S
        while not self._stopped:
            if capture is not None and self._read_connection(capture, connection):
                retry_s = RETRY_FIRST_S
            self._pause(retry_s)
            retry_s = min(2 * retry_s, RETRY_MAX_S)
            if not self._stopped:
                capture, connection = self._open_again(), connection + 1

    def _read_connection(self, capture: cv2.VideoCapture, connection: int) -> bool:
        """Reads until the camera gives no more; whether it gave any."""
        gave = False
        while not self._stopped and grab(capture):
            taken_s = time.monotonic()
            if not self._spacing.due(1000 * (taken_s - self._begun_s)):
                self._came_s = taken_s
                continue
            frame = retrieve(capture)
            if frame is not None:
                self._came_s = taken_s
                self._slot.put(_Taken(frame, taken_s, connection))
                gave = True
        capture.release()
        return gave

    def _pause(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < until_s:
            time.sleep(POLL_S)


class _Slot:
    """Room for one picture between two threads; a later one takes the place of an earlier."""

    def __init__(self) -> None:
        self._place: deque[_Taken] = deque(maxlen=1)
        self._filled = threading.Event()
        self.put_count = 0

    @property
    def waiting(self) -> int:
        return len(self._place)

    def put(self, taken: _Taken) -> None:
        self._place.append(taken)
        self.put_count += 1
        self._filled.set()

    def take(self, timeout_s: float) -> _Taken | None:
        """The picture, waited for up to `timeout_s`; None if there is none."""
        self._filled.wait(timeout_s)
        self._filled.clear()
        try:
            return self._place.popleft()
        except IndexError:
            return None


def _way_out(where: str | int) -> str:
    if isinstance(where, str) and is_address(where):
        return "check the address, and that its server runs"
    if isinstance(where, str) and is_pipeline(where):
        return "try it with gst-launch-1.0; it must end in appsink"
    return "check that it is plugged in, that no other program uses it, and your right to read it"
