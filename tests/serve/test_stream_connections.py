# SPDX-License-Identifier: Apache-2.0
"""Connections of the server's own protocol that end badly, come twice, or do not fit."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from serve_server import running_server
from stream_talk import PATIENCE_S, Talk, hello
from websockets.exceptions import ConnectionClosed

import edgestream.serve
from edgestream.serve.limits import Limits
from edgestream.serve.stream_socket import Connection

MODEL = "synthetic-en"
SECOND = bytes(32_000)
SHORT = replace(Limits(), resume_s=0.5, idle_s=2.0, hello_s=1.0, sessions=3, uploads=2)


@pytest.fixture(scope="module")
def server():
    with running_server([MODEL], limits=SHORT) as running:
        yield running


@pytest.fixture(autouse=True)
def _nothing_is_left(server):
    """After each test all sessions are forgotten, sooner or later."""
    yield
    until_s = time.monotonic() + PATIENCE_S
    while server.pool.sessions:
        assert time.monotonic() < until_s, "a session was never forgotten"
        time.sleep(0.05)


def refusal(talk):
    """The code of the error that comes, and with which code the socket is closed."""
    errors = [m["code"] for m in [talk.greeting, *talk.rest()] if m.get("type") == "error"]
    return errors, talk.close_code


def test_the_newer_of_two_connections_has_the_session(server):
    old = Talk(server, hello())
    old.say(SECOND)
    resume = {"type": "resume", "session": old.greeting["session"], "seq": 0}
    new = Talk(server, resume)
    assert new.greeting["type"] == "resumed"
    assert refusal(old) == (["replaced"], 1008)
    new.say(SECOND[new.greeting["bytes"] :])
    new.say({"type": "end"})
    assert new.rest()[-1] == {"seq": 1, "type": "done", "heard_ms": 1000.0}


def test_an_old_connection_that_falls_silent_does_not_end_the_session_of_a_newer_one(server):
    old = Talk(server, hello())
    old.say(SECOND)
    new = Talk(server, {"type": "resume", "session": old.greeting["session"], "seq": 0})
    for _ in range(6):  # the old one was silent for longer than it may by now
        time.sleep(SHORT.idle_s / 4)
        new.say(SECOND)
    new.say({"type": "end"})
    assert new.rest()[-1]["type"] == "done"


@pytest.mark.parametrize("first", [hello(), hello(live=True)])
def test_a_client_that_is_gone_before_it_is_greeted_leaves_no_session(server, first):
    for _ in range(SHORT.sessions + 2):
        talk = Talk(server)
        talk.say(first)
        talk.drop()
        time.sleep(0.05)


@pytest.mark.parametrize("wrong", [{"seq": -1}, {"seq": "x"}, {}, {"seq": 10_000}])
def test_a_resume_that_cannot_be_keeps_no_session_alive(server, wrong):
    old = Talk(server, hello())
    old.drop()
    again = Talk(server, {"type": "resume", "session": old.greeting["session"], **wrong})
    code = "unknown-session" if wrong.get("seq") == 10_000 else "bad-request"
    assert refusal(again) == ([code], 1008)


def test_sessions_that_nobody_comes_back_to_are_forgotten(server):
    old = Talk(server, hello())
    session = old.greeting["session"]
    old.drop()
    until_s = time.monotonic() + PATIENCE_S
    while server.pool.sessions and time.monotonic() < until_s:
        time.sleep(0.05)
    assert refusal(Talk(server, {"type": "resume", "session": session, "seq": 0})) == (
        ["unknown-session"], 1008,
    )  # fmt: skip


def test_recordings_and_sessions_have_a_most(server):
    recordings = [Talk(server, hello()) for _ in range(SHORT.uploads)]
    assert refusal(Talk(server, hello())) == (["full"], 1013)
    live = Talk(server, hello(live=True))
    assert live.greeting["type"] == "ready"
    assert refusal(Talk(server, hello(live=True))) == (["full"], 1013)
    recordings[0].say({"type": "end"})
    assert recordings[0].rest()[-1]["type"] == "done"
    # What it was told is kept for a while; it takes nobody's place.
    with Talk(server, hello()) as next_one:
        assert next_one.greeting["type"] == "ready"
    for talk in [*recordings, live]:
        talk.drop()


def test_a_session_that_would_make_others_late_is_refused(server, monkeypatch):
    with Talk(server, hello(live=True)):
        monkeypatch.setattr(server.pool.admission, "cost", lambda name: 1e6)
        assert refusal(Talk(server, hello(live=True))) == (["full"], 1013)
        with Talk(server, hello()) as recording:  # it takes what is left
            assert recording.greeting["type"] == "ready"


def test_a_fault_ends_one_session_and_the_others_go_on(server, monkeypatch):
    def fails(block):
        raise RuntimeError("a fault of ours")

    with Talk(server, hello()) as faulty, Talk(server, hello()) as other:
        session = server.pool.find(faulty.greeting["session"])
        monkeypatch.setattr(session.stream, "take", fails)
        for talk in (faulty, other):
            talk.say(SECOND)
            talk.say({"type": "end"})
        assert refusal(faulty) == (["failed"], 1011)
        assert other.rest()[-1]["type"] == "done"


def test_who_says_nothing_is_told_so(server):
    assert refusal(Talk(server)) == (["idle"], 1008)
    assert refusal(Talk(server, hello())) == (["idle"], 1008)


STOPPED = """
import sys
from types import SimpleNamespace
from stream_talk import Talk, hello
talk = Talk(SimpleNamespace(ws=sys.argv[1]), hello())
talk.say(bytes(32_000))
print("said", flush=True)
print(talk.rest()[-1]["code"], flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_client_that_stands_still_is_told_so_and_holds_nobody_up(server):
    """It neither sends nor reads, and its system keeps the connection."""
    command = [sys.executable, "-c", STOPPED, server.ws]
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=path) as client:
        assert client.stdout.readline() == "said\n"
        client.send_signal(signal.SIGSTOP)
        with Talk(server, hello()) as other:
            other.say(SECOND)
            other.say({"type": "end"})
            assert other.rest()[-1]["type"] == "done"
        until_s = time.monotonic() + PATIENCE_S
        while server.pool.sessions and time.monotonic() < until_s:
            time.sleep(0.05)
        assert not server.pool.sessions
        client.send_signal(signal.SIGCONT)
        assert client.stdout.readline() == "idle\n"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "end"}, "bad-request"),
        ("no json", "bad-request"),
        (b"\x00\x01", "bad-request"),
        ("[" * 100_000, "bad-request"),
        (hello(model="nobody"), "unknown-model"),
        (hello(rate_hz=0), "bad-request"),
        (hello(rate_hz=1e400), "bad-request"),
        (hello(rate_hz=10**400), "bad-request"),
        (hello(channels=3), "bad-request"),
        (hello(format="mp3"), "bad-request"),
        (hello(prompt="x" * 2001), "bad-request"),
        (hello(vad="/etc/passwd"), "bad-request"),
        (hello(language="xx-unknown"), "bad-request"),
    ],
)
def test_a_first_message_that_is_wrong_is_refused_in_one_line(server, first, code):
    talk = Talk(server)
    talk.say(first)
    (error,) = talk.rest()
    assert error["code"] == code
    assert error["message"]
    assert "\n" not in error["message"]
    assert talk.close_code == 1008


def test_a_message_that_is_too_long_ends_the_connection(server):
    with Talk(server, hello()) as talk:
        with suppress(ConnectionClosed):  # while it is sent
            talk.say(bytes(SHORT.message_bytes + 1))
        talk.rest()
        assert talk.close_code in (1009, 1006)


def test_a_message_that_comes_while_its_connection_ends_holds_nobody_up():
    """asyncio.wait_for of Python 3.11 loses a cancellation that comes together with the result.

    The connection's end then waited for ever for a reader that had begun to wait anew.
    """

    class Socket:
        def __init__(self):
            loop = asyncio.get_running_loop()
            self.messages = [loop.create_future(), loop.create_future()]

        async def receive(self):
            return await self.messages.pop(0)

    async def ends():
        socket = Socket()
        first = socket.messages[0]
        connection = Connection(socket, SimpleNamespace(limits=SHORT), None)

        async def listen():
            while True:
                await connection._receive(10)

        listening = asyncio.ensure_future(listen())
        await asyncio.sleep(0)
        first.set_result({"type": "websocket.receive", "text": "{}"})
        await asyncio.sleep(0)  # of wait_for: what it waits for is done, itself it is not
        listening.cancel()
        done, _ = await asyncio.wait({listening}, timeout=5)
        return bool(done)

    assert asyncio.run(ends())


def test_the_server_waits_by_limits_that_lose_no_cancellation():
    package = Path(edgestream.serve.__file__).parent
    assert not [f for f in package.rglob("*.py") if "wait_for(" in f.read_text("utf-8")]
