# SPDX-License-Identifier: Apache-2.0
"""What a client says while the server ends is not taken, and the client is told so, once."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from serve_server import running_server
from stream_talk import PATIENCE_S, Talk, finals, hello

from edgestream.data import DATA
from edgestream.serve.limits import Limits

MODEL = "synthetic-en"
SECONDS = 3
IDLE_S = 0.5
SOUND, LOST, END = bytes(3200), {"type": "lost", "ms": 500}, {"type": "end"}


@pytest.fixture(scope="module")
def speech():
    """Of one and of two channels; the mix of two holds what is left of a hop."""
    n_frames = SECONDS * 16_000 - 3
    mono = soundfile.read(DATA / "sample.flac", dtype="int16", frames=n_frames)[0]
    return {n: np.repeat(mono, n).tobytes() for n in (1, 2)}


@pytest.fixture
def silent(tmp_path):
    """A server that waits for no one, and keeps what it hears in one file a session."""
    limits = replace(Limits(), idle_s=IDLE_S)
    with running_server([MODEL], limits=limits, transcripts=tmp_path) as running:
        yield running


def held(session):
    """Keeps the session's last words until the event that it returns is set."""
    go, finish = threading.Event(), session.stream.finish

    def finish_then():
        assert go.wait(PATIENCE_S)
        return finish()

    session.stream.finish = finish_then
    return go


def acknowledged(session):
    """Is set when an `ack` is taken, and with it all that came before."""
    taken = threading.Event()
    session.log.acknowledge = lambda seq: taken.set()
    return taken


@pytest.mark.parametrize(
    ("channels", "said"),
    [(1, [SOUND, END]), (1, [LOST]), (1, [LOST, END]), (2, [END]), (1, [SOUND, END, END])],
)
def test_what_comes_too_late_is_not_called_done(speech, channels, said):
    first = hello(live=True, channels=channels)
    with running_server([MODEL]) as server, Talk(server, first) as talk:
        talk.say(speech[channels])
        while talk.read().get("bytes") != len(speech[channels]):
            pass
        (session,) = server.pool.sessions
        go, taken = held(session), acknowledged(session)
        ending = server.pool.hand_over(elsewhere=False)
        asyncio.run_coroutine_threadsafe(ending, server.loop).result(PATIENCE_S)
        for message in [*said, {"type": "ack", "seq": 0}]:
            talk.say(message)
        was_taken = taken.wait(5)
        go.set()
        told = talk.rest()
    assert was_taken
    assert finals(told)
    assert told[-1]["code"] == "shutting-down"
    assert [m["bytes"] for m in told if m["type"] == "heard"][-1] == len(speech[channels])
    assert talk.close_code == 1012


def test_who_has_said_the_end_may_wait_long_for_the_last_words(silent, speech):
    with Talk(silent, hello()) as talk:
        (session,) = silent.pool.sessions
        go = held(session)
        talk.say(speech[1])
        talk.say(END)
        threading.Timer(3 * IDLE_S, go.set).start()
        assert talk.rest()[-1]["type"] == "done"


def test_the_last_words_of_a_client_that_fell_silent_are_kept(silent, speech, tmp_path):
    with Talk(silent, hello()) as talk:
        talk.say(speech[1])
        assert talk.rest()[-1]["code"] == "idle"
        again = {"type": "resume", "session": talk.greeting["session"], "seq": 0}
    with Talk(silent, again) as back:
        assert back.greeting["code"] == "unknown-session"
    silent.wait_until_empty()
    (path,) = tmp_path.iterdir()
    assert '"final"' in path.read_text()
