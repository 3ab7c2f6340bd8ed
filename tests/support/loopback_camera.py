# SPDX-License-Identifier: Apache-2.0
"""A network camera on loopback: MJPEG over HTTP, and what cameras do on bad days."""

import http.server
import threading
import time

import cv2
import numpy as np

INTERVAL_S = 0.04


class NetworkCamera(http.server.ThreadingHTTPServer):
    """`with NetworkCamera() as camera`: pictures of one grey that grows from picture to picture, or
    the RGB pictures that it is given, from the first one for each connection.

    size: (width, height) of the next pictures. frozen: the connection stays, nothing comes.
    `port` lets a second one take the place of one that was stopped.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port=0, size=(64, 48), pictures=()):
        super().__init__(("127.0.0.1", port), _Handler)
        self.size, self.frozen, self.stopped = size, False, False
        self.connections = 0
        self.pictures = pictures

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/video.mjpg"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.connections += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        grey = 0
        while not self.server.stopped:
            time.sleep(INTERVAL_S)
            if self.server.frozen:
                continue
            jpeg = cv2.imencode(".jpg", self._picture(grey))[1].tobytes()
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:  # the reader has gone
                return
            grey += 1

    def _picture(self, turn):
        """BGR: of those given the last one stays."""
        given = self.server.pictures
        if given:
            return given[min(turn, len(given) - 1)][..., ::-1]
        width, height = self.server.size
        return np.full((height, width, 3), turn % 256, np.uint8)
