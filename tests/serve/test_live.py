# SPDX-License-Identifier: Apache-2.0
"""The server's own source: what its readers and the log are told when it fails."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
from dataclasses import replace

import pytest
from serve_server import no_faults, running_server

from edgestream.errors import SourceError
from edgestream.serve import live as live_module
from edgestream.serve import live_routes
from edgestream.serve.limits import Limits
from edgestream.serve.live import Live
from edgestream.serve.own_source import watching

PASSWORD = "hunter2"


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(live_module, "REST_S", 0.01)


async def until_told(live, n_events):
    """Starts it, and ends it once it has told so much. Gives the events."""
    live.start()
    while live.log.newest < n_events:
        await asyncio.sleep(0.005)
    live.stop()
    await live.wait()
    await asyncio.sleep(0)  # what the thread said last
    return [event for _, event in live.log.after(0)]


@pytest.mark.parametrize(
    "source",
    [
        f"rtsp://admin:{PASSWORD}@127.0.0.1:9/cam",
        f"rtsp://admin:{PASSWORD}\t@127.0.0.1:9/cam",
        f"rtspsrc location=rtsp://admin:{PASSWORD}@127.0.0.1:9/cam ! videoconvert ! appsink",
    ],
)
def test_a_camera_s_password_is_told_to_nobody(source, monkeypatch, caplog):
    def fails(where, **_):
        if PASSWORD in where:
            raise SourceError(f"{where}: cannot be opened ({where.partition('://')[2]})")

    monkeypatch.setattr("edgestream.vision.watch.watch", fails)
    monkeypatch.setattr(
        "edgestream.sources.open_pictures.open_pictures", lambda *_, **__: io.BytesIO()
    )
    live = watching(source)(None)
    with caplog.at_level(logging.INFO, "edgestream.serve"):
        events = asyncio.run(until_told(live, 1))
    logged = str([record.__dict__ for record in caplog.records])
    assert events[0].text.startswith("the camera: cannot be opened")
    assert "the camera: cannot be opened" in logged
    assert PASSWORD not in f"{events} {logged} {live.name}"


def test_any_fault_is_told_and_the_source_is_opened_again(caplog):
    address = f"rtsp://admin:{PASSWORD}@host/cam"

    def fails():
        raise RuntimeError(f"no such frame at {address}")

    live = Live("camera", "camera", fails, again=True, secret=address)
    with caplog.at_level(logging.INFO, "edgestream.serve"):
        events = asyncio.run(until_told(live, 2))
    assert len(events) >= 2
    assert all(event.text.startswith("the camera failed") for event in events)
    assert "RuntimeError: no such frame at the camera" in caplog.records[0].fields["trace"]
    assert PASSWORD not in str([record.__dict__ for record in caplog.records])
    assert live.log.complete


def test_a_reader_whose_body_never_comes_is_told_all_the_same(monkeypatch):
    monkeypatch.setattr(live_routes, "STATUS_S", 0.1)

    def fails():
        raise SourceError("it is away")

    limits = replace(Limits(), body_gap_s=0.2)
    live = Live("camera", "camera", fails, again=True)
    with (
        running_server(["synthetic-en"], limits=limits, live=lambda _: live) as server,
        no_faults(),
        socket.create_connection(("127.0.0.1", server.port), 20) as raw,
    ):
        head = (
            f"GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 9\r\n\r\n"
        )
        raw.sendall(head.encode())
        told = b""
        while told.count(b"event: status") < 6:
            more = raw.recv(65_536)
            assert more, "the connection was ended"
            told += more
