# SPDX-License-Identifier: Apache-2.0
"""Anything may come over a web socket: no fault in the log, no hang, no session left behind."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from faults import frame, shaken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_server import running_server
from stream_talk import PATIENCE_S, Talk, hello
from websockets.exceptions import ConnectionClosed

from edgestream.serve.limits import Limits
from edgestream.serve.refusal import STATUS

MODEL = "synthetic-en"
SHORT = replace(Limits(), hello_s=0.5, idle_s=0.5, resume_s=0.2)
MANY = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["en", "low", "s16le", "translate", MODEL, "off", 16_000, 1, 2]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5
)
FIELDS = [
    "rate_hz", "format", "channels", "live", "model", "delay", "language", "task", "prompt", "vad",
    "session", "seq", "ms", "reason",
]  # fmt: skip
KINDS = ["hello", "resume", "ack", "lost", "end", "other"]
MESSAGES = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(KINDS) | VALUES,
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5),
)


@pytest.fixture(scope="module")
def server():
    with running_server([MODEL], limits=SHORT) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_fault(server, caplog):
    """No exception of ours, and in the end no session."""
    yield
    until_s = time.monotonic() + PATIENCE_S
    while server.pool.sessions:
        assert time.monotonic() < until_s, "a session is left"
        time.sleep(0.05)
    faults = [r for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
    assert faults == []


def answers(talk):
    """What comes until the server closes; each error is one that the documents name."""
    told = talk.rest()
    for message in told:
        if message["type"] == "error":
            assert message["code"] in STATUS
            assert message["code"] != "failed"
            assert "\n" not in message["message"]
    return told


@MANY
@given(MESSAGES)
def test_any_first_message(server, message):
    with Talk(server) as talk:
        talk.say(message)
        if talk.read()["type"] == "ready":
            talk.say({"type": "end"})
        answers(talk)


@MANY
@given(st.lists(st.one_of(MESSAGES, st.binary(max_size=2000), st.text(max_size=50)), max_size=6))
def test_any_messages_behind_a_hello(server, messages):
    with Talk(server, hello()) as talk:
        try:
            for message in messages:
                talk.say(message)
            talk.say({"type": "end"})
        except ConnectionClosed:
            pass
        answers(talk)


@MANY
@given(st.binary(max_size=300), st.booleans(), st.integers(0, 400))
def test_any_bytes_on_the_wire(server, data, greeted, cut):
    """Rubbish in the place of frames, whole frames of rubbish, and ends in the middle of them."""
    where = SimpleNamespace(address=f"127.0.0.1:{server.port}")
    first = frame(1, b'{"type": "hello", "rate_hz": 16000, "live": false}') if greeted else b""
    opcode = data[0] % 16 if data else 0
    for sent in (data, frame(opcode, data)):
        with socket.create_connection(("127.0.0.1", server.port), 10) as raw:
            raw.sendall((shaken(where) + first + sent)[: cut + 200])
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(PATIENCE_S)
            try:
                while raw.recv(65_536):
                    pass
            except ConnectionResetError:
                pass
