# SPDX-License-Identifier: Apache-2.0
"""From the glass to the word: a camera that draws the time into its pictures, on loopback.

The time at which a picture was drawn is a row of black and white blocks under it. It goes through
JPEG, HTTP, FFmpeg and the slot of the latest picture, and is read back before the blocks are cut
off, so that the stream sees the scene alone.
"""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgestream.bench.watch.event_score import tells_of
from edgestream.bench.watch.scenes import WIDTH, Rgb, Scene
from edgestream.events import Comment
from edgestream.sources.open_pictures import open_pictures
from edgestream.sources.picture import Picture, PictureSource
from edgestream.system.opencv import cv2

if TYPE_CHECKING:
    from edgestream.vision.watcher import Watcher

CAMERA_FPS = 25.0
BLOCK_PX = 16  # a JPEG's unit where colours have half the resolution
N_BITS = WIDTH // BLOCK_PX
TICK_MS = 4.0  # of the time in the blocks, which turns over every 4 s
QUALITY = 90
BOUNDARY = "picture"


def with_time(rgb: Rgb, time_ms: float) -> Rgb:
    """The picture with the time below it, uint8 [height + BLOCK_PX, WIDTH, 3]."""
    tick = round(time_ms / TICK_MS) % (1 << N_BITS)
    bits = np.array([255 * (tick >> i & 1) for i in range(N_BITS)], np.uint8)
    blocks = np.repeat(bits, BLOCK_PX)[None, :, None]
    return np.concatenate([rgb, np.broadcast_to(blocks, (BLOCK_PX, WIDTH, 3))])


def read_time(rgb: NDArray[np.uint8], near_ms: float) -> float:
    """The time below a picture: the newest one not after `near_ms` that the blocks can mean."""
    blocks = rgb[-BLOCK_PX:].reshape(BLOCK_PX, N_BITS, BLOCK_PX, -1)[4:-4, :, 4:-4]
    ticks = sum(int(mean > 127) << i for i, mean in enumerate(blocks.mean((0, 2, 3))))
    turn_ms = TICK_MS * (1 << N_BITS)
    # Rounded to a tick, a time may be half of one ahead.
    return float(near_ms - (near_ms + TICK_MS / 2 - ticks * TICK_MS) % turn_ms + TICK_MS / 2)


def now_ms() -> float:
    """The clock of the glass."""
    return 1000 * time.monotonic()


class GlassCamera(http.server.ThreadingHTTPServer):
    """`with GlassCamera(scene) as camera`: MJPEG of a scene that starts with the connection."""

    daemon_threads = True

    def __init__(self, scene: Scene) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scene = scene
        self.started_ms = 0.0  # on the clock of the glass

    @property
    def url(self) -> str:
        """Where it can be watched."""
        return f"http://127.0.0.1:{self.server_port}/glass.mjpg"

    def __enter__(self) -> GlassCamera:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def jpegs(self) -> Iterator[bytes]:
        """The scene as it happens."""
        random = np.random.default_rng(0)
        self.started_ms = now_ms()
        turn = 0
        while (time_ms := now_ms() - self.started_ms) < self.scene.length_ms:
            drawn = with_time(self.scene.draw(time_ms, random), now_ms())
            bgr = cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR)
            yield cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
            turn = max(turn + 1, int((now_ms() - self.started_ms) * CAMERA_FPS / 1000))
            time.sleep(max(0.0, (self.started_ms + 1000 * turn / CAMERA_FPS - now_ms()) / 1000))


class _Handler(http.server.BaseHTTPRequestHandler):
    server: GlassCamera

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: stderr is the benchmark's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.end_headers()
        for jpeg in self.server.jpegs():
            head = (
                f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:  # the reader has gone
                return


class GlassReader:
    """A source of pictures that reads and cuts off their times."""

    live = True

    def __init__(self, source: PictureSource) -> None:
        self._source = source
        self.name = source.name
        self.stop, self.close = source.stop, source.close
        self.drawn_ms: dict[float, float] = {}  # of pictures by their time on the source's clock

    @property
    def now_ms(self) -> float:
        return self._source.now_ms

    @property
    def skipped(self) -> int:
        return self._source.skipped

    @property
    def behind_ms(self) -> float:
        return self._source.behind_ms

    def __iter__(self) -> Iterator[Picture]:
        for item in self._source:
            if not isinstance(item, Picture):  # the camera's scene is over
                return
            self.drawn_ms[item.time_ms] = read_time(item.rgb, now_ms())
            yield Picture(np.ascontiguousarray(item.rgb[:-BLOCK_PX]), item.time_ms)


@dataclass(slots=True)
class Glass:
    """What a live run showed."""

    to_word_ms: list[float] = field(default_factory=list)  # since its picture was drawn
    event_to_word_ms: list[float] = field(default_factory=list)  # since the event could be seen
    staleness_ms: list[float] = field(default_factory=list)  # as the comments say it
    pictures: int = 0
    seconds: float = 0.0


def watch_glass(model: Watcher, scene: Scene) -> Glass:
    """Watches a live camera that shows the scene, in real time."""
    from edgestream.vision.watch import watch

    glass = Glass()
    with GlassCamera(scene) as camera:
        reader = GlassReader(open_pictures(camera.url, fps=model.fps))
        for events in watch(reader, model=model).blocks():
            shown_ms = now_ms()
            for comment in events:
                if isinstance(comment, Comment):
                    _note(glass, comment, scene, reader, shown_ms, camera.started_ms)
        glass.pictures, glass.seconds = len(reader.drawn_ms), scene.length_ms / 1000
    return glass


def _note(
    glass: Glass, comment: Comment, scene: Scene, reader: GlassReader, shown_ms: float,
    started_ms: float,
) -> None:  # fmt: skip
    drawn_ms = reader.drawn_ms[comment.picture_ms]
    glass.to_word_ms.append(shown_ms - drawn_ms)
    glass.staleness_ms.append(comment.staleness_ms)
    later_ms = drawn_ms - started_ms - comment.picture_ms  # on the scene's clock
    on_scene = replace(comment, start_ms=comment.start_ms + later_ms)
    seen = [h.visible_ms for h in scene.happenings if tells_of(on_scene, h)]
    if seen:
        glass.event_to_word_ms.append(shown_ms - started_ms - seen[0])
