# SPDX-License-Identifier: Apache-2.0
"""The streaming law over the server's own protocol: however sound is cut into messages, and however
often the connection breaks, a client is told what the library says of the whole."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serve_server import running_server
from stream_talk import Talk, finals, hello
from websockets.exceptions import ConnectionClosed

import edgestream
from edgestream.data import DATA
from edgestream.events import Final, Gap
from edgestream.outlets.records import record
from edgestream.sources.pcm_decoder import PcmDecoder
from edgestream.sources.sample_formats import SampleFormat

MODEL = "synthetic-en"
SECONDS = 9
FORMS = [("s16le", 1), ("s16le", 2), ("f32le", 1), ("f32le", 2)]


@pytest.fixture(scope="module")
def server():
    with running_server([MODEL]) as running:
        yield running


@pytest.fixture(scope="module")
def speech():
    return soundfile.read(DATA / "sample.flac", dtype="float32", frames=SECONDS * 16_000)[0]


def pcm(samples, form, channels):
    """The samples as a client sends them; a second channel is a little softer."""
    frames = np.stack([samples * (1 - 0.1 * n) for n in range(channels)], axis=1)
    if form == "f32le":
        return frames.astype("<f4").tobytes()
    return (frames * 32_767).astype("<i2").tobytes()


def whole(data, form, channels):
    """What the library says of it in one go."""
    decoder = PcmDecoder(SampleFormat(form), channels, 16_000)
    stream = edgestream.load(MODEL).stream(rate_hz=16_000)
    events = stream.push(np.concatenate([decoder.push(data), decoder.finish()]))
    kept = [e for e in events + stream.finish() if isinstance(e, (Final, Gap))]
    return [record(event) for event in kept]


class Client:
    """Sends `data`, and breaks the connection after so many bytes of it."""

    def __init__(self, server, data: bytes, first: dict[str, Any]) -> None:
        self.server, self.data, self.first = server, data, first
        self.session, self.told, self.seq = "", [], 0

    def take(self, messages):
        for message in messages:
            if message.get("seq", 0) > self.seq:
                self.seq = message["seq"]
                self.told.append(message)

    def connect(self):
        if not self.session:
            talk = Talk(self.server, self.first)
            self.session = talk.greeting["session"]
            return talk, 0
        talk = Talk(self.server, {"type": "resume", "session": self.session, "seq": self.seq})
        assert talk.greeting["type"] == "resumed", talk.greeting
        return talk, talk.greeting["bytes"]

    def run(self, cuts, breaks, n_ends=1):
        """Says `n_ends` times that this is the end: it cannot know that it was heard."""
        talk = None
        for stop in [*breaks, *[len(self.data)] * n_ends]:
            if talk is not None:
                talk.drop()
            talk, at = self.connect()
            sizes = iter(cuts)
            while at < stop:
                n = min(next(sizes, 20_000), stop - at)
                talk.say(self.data[at : at + n])
                at += n
            if stop == len(self.data):
                with suppress(ConnectionClosed):  # all was told already
                    talk.say({"type": "end"})
            self.take(talk.here())
        self.take(talk.rest())
        return finals(self.told)


@pytest.mark.parametrize(("form", "channels"), FORMS)
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_any_cutting_and_any_breaks_give_what_the_whole_gives(server, speech, form, channels, draw):
    data = pcm(speech, form, channels)
    cuts = draw.draw(st.lists(st.integers(1, 9_001), max_size=30))
    breaks = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=3)))
    wanted = whole(data, form, channels)
    assert len(wanted) > 1
    client = Client(server, data, hello(format=form, channels=channels))
    assert client.run(cuts, breaks, draw.draw(st.integers(1, 2))) == wanted
    assert client.told[-1]["type"] == "done"
    assert client.told[-1]["heard_ms"] == pytest.approx(1000 * SECONDS, abs=1)


def test_numbers_rise_and_the_end_is_said(server, speech):
    with Talk(server, hello()) as talk:
        talk.say(pcm(speech, "s16le", 1))
        talk.say({"type": "end"})
        told = [m for m in talk.rest() if "seq" in m]
    numbers = [m["seq"] for m in told]
    assert numbers == sorted(set(numbers))  # a draft that is replaced at once is not told
    assert {m["type"] for m in told} >= {"draft", "final", "done"}
    assert talk.close_code == 1000


def test_after_end_the_last_words_wait_for_a_client_whose_connection_broke(server, speech):
    data = pcm(speech, "s16le", 1)
    first = Talk(server, hello())
    first.say(data)
    first.say({"type": "end"})
    told = [first.read()]
    while told[-1]["type"] != "done":  # it was all sent, but say that it did not come through
        told.append(first.read())
    first.drop()
    resume = {"type": "resume", "session": first.greeting["session"], "seq": 0}
    with Talk(server, resume) as second:
        assert second.greeting == {"type": "resumed", "bytes": len(data), "lost_ms": 0.0}
        again = second.rest()
    assert finals(again) == finals(told) == whole(data, "s16le", 1)
    assert again[-1] == told[-1]


def test_lost_sound_becomes_a_gap_where_it_was(server):
    with Talk(server, hello()) as talk:
        talk.say(bytes(32_000))
        talk.say({"type": "lost", "ms": 960, "reason": "network"})
        talk.say(bytes(32_000))
        talk.say({"type": "end"})
        told = talk.rest()
    (gap,) = finals(told)
    assert gap == {"type": "gap", "start_ms": 1000.0, "end_ms": 1960.0, "reason": "network"}
    assert told[-1]["heard_ms"] == pytest.approx(2960)


def test_lost_sound_is_counted_for_a_client_that_comes_back(server):
    first = Talk(server, hello())
    first.say(bytes(32_000))
    for lost_ms in (960, 0.5):
        first.say({"type": "lost", "ms": lost_ms})
    while first.read().get("lost_ms") != 960.5:
        pass
    first.drop()
    resume = {"type": "resume", "session": first.greeting["session"], "seq": 0}
    with Talk(server, resume) as second:
        assert second.greeting == {"type": "resumed", "bytes": 32_000, "lost_ms": 960.5}
        second.say({"type": "end"})
        assert second.rest()[-1]["heard_ms"] == pytest.approx(1960.5)


def test_what_was_acknowledged_is_forgotten_and_the_rest_is_told_again(server, speech):
    first = Talk(server, hello())
    first.say(pcm(speech, "s16le", 1))
    lines = []
    while len(lines) < 2:
        if (message := first.read())["type"] == "final":
            lines.append(message)
    first.say({"type": "ack", "seq": lines[0]["seq"]})
    first.say({"type": "end"})
    first.rest()
    session = first.greeting["session"]
    with Talk(server, {"type": "resume", "session": session, "seq": 0}) as again:
        told = [m for m in again.rest() if "seq" in m]
    assert min(m["seq"] for m in told) > lines[0]["seq"]
    assert lines[1] in told
