# SPDX-License-Identifier: Apache-2.0
"""What one client can take of the server has a most, and who goes beyond it harms nobody else."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
from faults import frame, shaken
from serve_server import running_server
from stream_talk import PATIENCE_S, Talk, hello
from websockets.exceptions import ConnectionClosed

from edgestream.serve.limits import Limits
from edgestream.serve.run import TimedHttp, TimedSocket

MODEL = "synthetic-en"
SHORT = replace(Limits(), body_gap_s=0.5, body_s=2.0, send_s=0.5, connections=20, waiting_s=0.5)
MOST_MB = 60  # that the whole process may grow by while one client floods it


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimedHttp, "header_s", 0.5)
        patch.setattr(TimedHttp, "most_open", SHORT.connections + 10)
        for each in (TimedHttp, TimedSocket):
            patch.setattr(each, "stalled_s", 1.0)
        with running_server([MODEL], limits=SHORT) as running:
            yield running


@pytest.fixture
def address(server):
    return ("127.0.0.1", server.port)


def head(server, *lines):
    """The headers of a request, written by hand."""
    return ("\r\n".join([*lines, f"Host: 127.0.0.1:{server.port}"]) + "\r\n").encode()


def closed(raw):
    """What comes until the server ends the connection."""
    raw.settimeout(PATIENCE_S)
    data = b""
    try:
        while more := raw.recv(65_536):
            data += more
    except ConnectionResetError:
        pass
    return data


def socket_request(server):
    """As `shaken` wants it."""
    server_like = SimpleNamespace(address=f"127.0.0.1:{server.port}")
    return shaken(server_like)


@pytest.mark.parametrize("begun", ["", "GET /heal", "GET /healthz HTTP/1.1\r\nX: y\r\n"])
def test_headers_must_be_there_in_time(address, begun):
    with socket.create_connection(address) as raw:
        raw.sendall(begun.encode())
        assert closed(raw) == b""


def test_the_second_request_of_a_connection_has_as_much_time(server, address):
    with socket.create_connection(address) as raw:
        raw.sendall(head(server, "GET /healthz HTTP/1.1") + b"\r\n")
        answer = b""
        while not answer.endswith(b"ok\n"):
            answer += raw.recv(65_536)
        raw.sendall(b"GET /healthz")
        assert closed(raw) == b""


@pytest.mark.parametrize("path", ["/healthz", "/", "/nothing"])
def test_a_body_that_nobody_wants_must_end_in_time(server, address, path):
    """Each piece of it would keep the connection for ever: uvicorn's own timer is gone then."""
    with socket.create_connection(address) as raw:
        raw.sendall(head(server, f"GET {path} HTTP/1.1", "Content-Length: 9") + b"\r\n")
        assert raw.recv(65_536).startswith(b"HTTP/1.1 ")
        raw.sendall(b"x")
        closed(raw)


def test_a_body_that_comes_behind_the_answer_leaves_the_connection_open(server, address):
    with socket.create_connection(address) as raw:
        for _ in range(2):
            raw.sendall(head(server, "GET /healthz HTTP/1.1", "Content-Length: 2") + b"\r\n")
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += raw.recv(65_536)
            raw.sendall(b"xy")


def test_headers_have_a_most(server, address):
    with socket.create_connection(address) as raw:
        raw.sendall(head(server, "GET / HTTP/1.1", "X: " + "y" * 100_000))
        assert closed(raw).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


@pytest.mark.parametrize("pause_s", [None, SHORT.body_gap_s / 3], ids=["a gap", "all the time"])
def test_a_body_that_comes_too_slowly_is_refused(server, address, pause_s):
    """It never comes; or each piece is there in time, but not the whole."""
    lines = ["POST /v1/audio/transcriptions HTTP/1.1", "Content-Length: 1000"]
    form = "Content-Type: multipart/form-data; boundary=x"
    with socket.create_connection(address) as raw:
        raw.sendall(head(server, *lines, form) + b"\r\n--x\r\n")
        raw.settimeout(pause_s or PATIENCE_S)
        for _ in range(100):
            with suppress(TimeoutError):
                answer = raw.recv(65_536)
                break
            raw.sendall(b"x")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too slowly" in answer


def test_web_sockets_have_a_most_and_others_are_served_then(server, address):
    with ExitStack() as stack:
        talks = [stack.enter_context(Talk(server)) for _ in range(SHORT.connections)]
        with socket.create_connection(address) as raw:
            raw.sendall(socket_request(server))
            assert closed(raw).startswith(b"HTTP/1.1 503")
        talks[0].drop()
        until_s = time.monotonic() + PATIENCE_S
        while True:
            with socket.create_connection(address) as raw:
                raw.sendall(socket_request(server))
                if raw.recv(12) == b"HTTP/1.1 101":
                    break
            assert time.monotonic() < until_s


def test_connections_have_a_most(server, address):
    with ExitStack() as stack:
        raws = [stack.enter_context(socket.create_connection(address)) for _ in range(60)]
        for raw in raws:
            closed(raw)
    with Talk(server, hello()) as talk:
        assert talk.greeting["type"] == "ready"


@pytest.mark.parametrize("opcode", [9, 2])
def test_who_reads_nothing_is_cut_off_and_takes_no_memory(server, address, opcode):
    """Pings, whose answers nobody reads; and sound without end, of a live session."""
    process = psutil.Process()
    before_mb = process.memory_info().rss / 1e6
    data = frame(9, bytes(125)) * 200 if opcode == 9 else frame(2, bytes(100_000))
    with socket.create_connection(address) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sendall(socket_request(server) + frame(1, b'{"type":"hello","rate_hz":16000}'))
        raw.settimeout(0.2)
        n_sent, stalled, ended = 0, 0, False
        while n_sent < 100_000_000 and stalled < 5 and not ended:
            try:
                n_sent += raw.send(data)
                stalled = 0
            except TimeoutError:
                stalled += 1
            except OSError:
                ended = True
        assert process.memory_info().rss / 1e6 < before_mb + MOST_MB
        if opcode == 9:
            assert n_sent < 100_000_000
            until_s = time.monotonic() + PATIENCE_S
            while _open(process, address, raw):
                assert time.monotonic() < until_s, "it was never cut off"
                time.sleep(0.1)


def _open(process, address, raw):
    """Whether the server still holds its end of this connection."""
    ours = raw.getsockname()
    return any(
        each.raddr == ours and each.laddr == address
        for each in process.net_connections("tcp")
        if each.fd != -1
    )


def test_a_flood_of_sound_makes_no_other_session_late(server):
    with Talk(server, hello(live=True)) as flooding, Talk(server, hello(live=True)) as other:
        for _ in range(4):
            flooding.say(bytes(1_000_000))
        for _ in range(20):
            other.say(bytes(3200))
        other.say({"type": "end"})
        told = other.rest()
        assert told[-1]["type"] == "done"
        assert told[-1]["heard_ms"] == 2000.0
        assert max(m["behind_ms"] for m in flooding.here() if m["type"] == "heard") <= 1000


@pytest.mark.parametrize("message", [{"type": "lost", "ms": 3_600_000}, bytes(2)])
def test_many_small_messages_wait_with_their_sender(server, message):
    """Gaps have few samples or none, but silence is computed for each."""
    with Talk(server, hello(live=True)) as flooding, Talk(server, hello(live=True)) as other:
        (session,) = (s for s in server.pool.sessions if s.id == flooding.greeting["session"])
        most = 0
        stop = threading.Event()

        def flood():
            with suppress(ConnectionClosed):
                for _ in range(20_000):
                    flooding.say(message)
                    if stop.is_set():
                        return

        flooder = threading.Thread(target=flood)
        flooder.start()
        for _ in range(20):
            other.say(bytes(3200))
            most = max(most, len(session._waiting))
            time.sleep(0.02)
        other.say({"type": "end"})
        told = other.rest()
        most = max(most, len(session._waiting))
        stop.set()
        flooding.drop()
        flooder.join()
    assert told[-1]["type"] == "done"
    assert told[-1]["heard_ms"] == 2000.0
    assert most <= 100 * SHORT.waiting_s + 1
