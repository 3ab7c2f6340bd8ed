# SPDX-License-Identifier: Apache-2.0
"""The server's own source: what its readers and the log are told when it fails."""

from __future__ import annotations

import asyncio
import io
import logging
import re
import socket
import threading
import time
from dataclasses import replace

import httpx
import pytest
from serve_server import no_faults, running_server
from stream_talk import PATIENCE_S, Talk, hello

from edgestream.errors import SourceError
from edgestream.events import Final
from edgestream.serve import live as live_module
from edgestream.serve import live_routes
from edgestream.serve.cost import Admission
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


class Silent:
    """A session that hears nothing until it is stopped."""

    def __init__(self):
        self.stopped = threading.Event()
        self.stop = self.stopped.set

    def blocks(self):
        self.stopped.wait(PATIENCE_S)
        yield []

    def close(self):
        pass


def cores_taken(server):
    text = httpx.get(f"{server.http}/metrics").text
    return float(re.search(r"^edgestream_cores_taken (.*)$", text, re.M)[1])


def test_its_share_of_the_cores_is_given_back_when_it_is_over(monkeypatch):
    monkeypatch.setattr(Admission, "cost", lambda self, name: 1e6)
    session = Silent()
    live = Live("file", "talk.flac", lambda: session, again=False)
    with running_server(["synthetic-en"], live=lambda _: live) as server:
        assert cores_taken(server) == 1e6
        with Talk(server, hello(live=True)) as first, Talk(server, hello(live=True)) as second:
            assert first.greeting["type"] == "ready"  # the first is let in on any machine
            assert second.greeting["code"] == "full"
            assert cores_taken(server) == 2e6
            session.stop()
            until_s = time.monotonic() + PATIENCE_S
            while cores_taken(server) != 1e6:
                assert time.monotonic() < until_s
                time.sleep(0.02)


def line(n):
    return Final(text=str(n), words=[], start_ms=0.0, end_ms=float(n))


@pytest.mark.parametrize("known", [0, 1, 3])
def test_who_falls_behind_in_the_midst_is_told_that_lines_are_missing(known):
    """`known`: the number of the last line that the reader had before."""
    n_kept = live_module.N_REPLAYED

    async def told():
        live = Live("file", "talk.flac", Silent, again=False)
        live.log.push([line(n) for n in range(3)])
        reading = live_routes._told(live, known)
        found = [await anext(reading) for _ in range(2 if known < 3 else 1)]
        live.log.push([line(n) for n in range(n_kept + 10)])
        live.log.finish()
        return found + [message async for message in reading]

    messages = asyncio.run(told())
    notices = [each for each in messages if each.startswith("event: notice")]
    assert len(notices) == 1
    assert "not kept" in notices[0]
    numbers = [int(each.split("\n")[0].partition("-")[2]) for each in messages if "id: " in each]
    assert numbers == sorted(set(numbers))
    assert numbers[-n_kept:] == list(range(14, 14 + n_kept))
