# SPDX-License-Identifier: Apache-2.0
"""Wyoming, asked by its own package's client."""

import asyncio
import json
import random
import re
import socket
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from serve_server import HOST, no_faults, running_server
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

import edgestream as es
from edgestream.data import DATA
from edgestream.errors import UsageError
from edgestream.serve.hosts import host_and_port
from edgestream.serve.limits import Limits
from edgestream.serve.refusal import RefusalError
from edgestream.serve.run import bind
from edgestream.serve.told_text import joined
from edgestream.serve.wyoming_frames import DATA_BYTES, HEADER_BYTES, PAYLOAD_BYTES, read_event

PERSON = DATA / "person.flac"
DTYPES = {1: "u1", 2: "<i2", 4: "<i4"}


@pytest.fixture(scope="module")
def server():
    bound = bind(HOST, 0)
    with no_faults(), running_server(wyoming=bound) as running:
        yield running, bound.getsockname()[1]


def connect(server):
    return AsyncTcpClient(HOST, server[1], connect_timeout=10, read_timeout=120)


def pcm(rate_hz=16_000, width=2, channels=1, seconds=4):
    samples, at_hz = soundfile.read(PERSON, dtype="float32")
    samples = soxr.resample(samples[: round(seconds * at_hz)], at_hz, rate_hz)
    scale = 2 ** (8 * width - 1) - 1
    values = np.clip(samples, -1, 1).astype(np.float64) * scale + (128 if width == 1 else 0)
    values = np.repeat(np.round(values), channels)
    if width != 3:
        return values.astype(DTYPES[width]).tobytes()
    wide = values.astype("<i4").view(np.uint8).reshape(-1, 4)
    return wide[:, :3].tobytes()


async def say(client, data, n_bytes=2048, rate=16_000, width=2, channels=1, **wanted):
    """All of it, and what comes back up to the transcript and its end."""
    form = {"rate": rate, "width": width, "channels": channels}
    if wanted:
        await client.write_event(Transcribe(**wanted).event())
    await client.write_event(AudioStart(**form).event())
    for at in range(0, len(data), n_bytes):
        await client.write_event(AudioChunk(audio=data[at : at + n_bytes], **form).event())
    await client.write_event(AudioStop().event())
    return await told(client)


async def told(client):
    events = []
    while not events or not TranscriptStop.is_type(events[-1].type):
        event = await client.read_event()
        if event is None:
            break
        events.append(event)
    return events


def text_of(events):
    (found,) = (Transcript.from_event(e).text for e in events if Transcript.is_type(e.type))
    return found


def run(server, talk):
    async def connected():
        async with connect(server) as client:
            return await talk(client)

    return asyncio.run(connected())


def test_the_server_says_what_it_has(server):
    async def talk(client):
        await client.write_event(Describe().event())
        return Info.from_event(await client.read_event())

    (program,) = run(server, talk).asr
    assert program.supports_transcript_streaming
    assert program.installed
    assert [(model.name, model.languages) for model in program.models] == [
        ("whisper-tiny.en", ["en"])
    ]


def test_a_ping_is_answered(server):
    async def talk(client):
        await client.write_event(Ping("still there?").event())
        return Pong.from_event(await client.read_event())

    assert run(server, talk).text == "still there?"


def test_words_come_as_they_are_final_and_then_the_whole(server):
    async def talk(client):
        return await say(client, pcm(seconds=60), name="whisper-tiny.en", language="en")

    events = run(server, talk)
    kinds = [event.type for event in events]
    assert TranscriptStart.is_type(kinds[0])
    assert [Transcript.is_type(kinds[-2]), TranscriptStop.is_type(kinds[-1])] == [True, True]
    chunks = [TranscriptChunk.from_event(e).text for e in events[1:-2]]
    assert len(chunks) > 2
    assert "".join(chunks) == text_of(events)
    finals = [event for event in es.listen(PERSON, fast=True) if isinstance(event, es.Final)]
    words = {word.strip(".,!").lower() for word in text_of(events).split()}
    assert len(words & set(joined(f.text for f in finals).lower().split())) > 8


def test_words_are_there_before_the_sound_has_ended(server):
    """Decoding goes on while one speaks: this is not a server that waits for `audio-stop`."""

    async def talk(client):
        form = {"rate": 16_000, "width": 2, "channels": 1}
        await client.write_event(AudioStart(**form).event())
        await client.write_event(AudioChunk(audio=pcm(seconds=9), **form).event())
        early = [await client.read_event(), await client.read_event()]
        await client.write_event(AudioStop().event())
        return early, await told(client)

    (start, chunk), rest = run(server, talk)
    assert TranscriptStart.is_type(start.type)
    assert text_of(rest).startswith(TranscriptChunk.from_event(chunk).text)


@pytest.mark.parametrize("n_bytes", [161, 51, 13])
def test_samples_may_be_cut(server, n_bytes):
    """OHF-Voice/wyoming-faster-whisper#98."""

    async def talk(client):
        return text_of(await say(client, pcm(seconds=2.5), n_bytes=n_bytes))

    assert "Americans" in run(server, talk)


@pytest.mark.parametrize(
    ("rate", "width", "channels"), [(48_000, 2, 2), (16_000, 4, 1), (22_050, 3, 1), (16_000, 1, 1)]
)
def test_any_form_of_samples_is_heard(server, rate, width, channels):
    async def talk(client):
        data = pcm(rate, width, channels, seconds=2.5)
        return text_of(await say(client, data, rate=rate, width=width, channels=channels))

    assert "America" in run(server, talk)


def test_the_head_of_a_wav_file_in_the_sound_does_no_harm(server):
    """k2-fsa/sherpa-onnx#2854."""
    head = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\xff\xff"

    async def talk(client):
        return text_of(await say(client, head + pcm(seconds=2.5)))

    assert "Americans" in run(server, talk)


def test_one_utterance_follows_the_other_and_silence_has_no_words(server):
    """k2-fsa/sherpa-onnx#3923: digital silence is not "You"."""

    async def talk(client):
        return [
            text_of(await say(client, data))
            for data in (pcm(seconds=2.5), bytes(64_000), b"", pcm(seconds=2.5))
        ]

    first, silence, nothing, second = run(server, talk)
    assert first == second
    assert (silence, nothing) == ("", "")


@pytest.mark.parametrize(
    ("event", "what"),
    [
        (Event("audio-start", {"rate": 0, "width": 2, "channels": 1}), "rate"),
        (Event("audio-start", {"rate": "x", "width": 2, "channels": 1}), "rate"),
        (Event("audio-start", {"rate": 16_000, "width": 5, "channels": 1}), "width"),
        (Event("audio-start", {"rate": 16_000, "width": 2, "channels": 99}), "channels"),
        (Event("audio-start", {"rate": 16_000, "width": 2, "channels": None}), "channels"),
        (Event("audio-chunk", {}, b"12"), "rate"),
    ],
)
def test_what_cannot_be_heard_is_one_line(server, event, what):
    async def talk(client):
        await client.write_event(event)
        return Error.from_event(await client.read_event()), await client.read_event()

    error, after = run(server, talk)
    assert what in error.text
    assert "\n" not in error.text
    assert after is None


def test_a_language_that_no_model_hears_is_refused(server):
    async def talk(client):
        await client.write_event(Transcribe(language="fi").event())
        await client.write_event(AudioStart(16_000, 2, 1).event())
        return Error.from_event(await client.read_event())

    assert "it hears en" in run(server, talk).text


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\n", b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'{"type": 3}\n', b"[" * 9000 + b"\n",
        b'{"type": "audio-chunk", "payload_length": -1}\n',
        b'{"type": "audio-chunk", "payload_length": 1e9}\n',
        b'{"type": "audio-chunk", "payload_length": 99999999999}\n',
        b'{"type": "audio-chunk", "data_length": 99999999999}\n',
        b'{"type": "describe", "data": 5}\n',
        b"x" * (2 * HEADER_BYTES),
    ],
)  # fmt: skip
def test_rubbish_ends_the_connection_with_a_line(server, rubbish):
    async def talk():
        reader, writer = await asyncio.open_connection(HOST, server[1])
        writer.write(rubbish)
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer

    assert b'"error"' in asyncio.run(talk())


def test_a_client_that_goes_leaves_nothing(server):
    async def talk(client):
        await client.write_event(AudioStart(16_000, 2, 1).event())
        await client.write_event(AudioChunk(16_000, 2, 1, audio=pcm(seconds=2)).event())

    run(server, talk)
    server[0].wait_until_empty()


def test_who_says_nothing_is_let_go():
    bound = bind(HOST, 0)
    limits = Limits(idle_s=0.2)
    with running_server(["synthetic-en"], wyoming=bound, limits=limits) as running:

        async def talk(client):
            return Error.from_event(await client.read_event()), await client.read_event()

        error, after = run((running, bound.getsockname()[1]), talk)
    assert (error.code, after) == ("idle", None)


def test_when_the_server_ends_last_words_are_told():
    bound = bind(HOST, 0)
    with running_server(wyoming=bound) as running:
        port = bound.getsockname()[1]
        sock = socket.create_connection((HOST, port))
        file = sock.makefile("rwb")
        data = pcm(seconds=2.5)
        form = {"rate": 16_000, "width": 2, "channels": 1}
        for event, payload in (("audio-start", b""), ("audio-chunk", data)):
            head = {"type": event, "data": form, "payload_length": len(payload)}
            file.write(json.dumps(head).encode() + b"\n" + payload)
        file.flush()
        while not any(session.heard_ms > 2000 for session in running.pool.sessions):
            time.sleep(0.01)
    said = file.read().decode()
    assert "Americans" in said
    assert '"transcript-stop"' in said


def test_ports_with_and_without_an_address():
    assert host_and_port("10300", "--wyoming") == ("127.0.0.1", 10300)
    assert host_and_port("0.0.0.0:1", "--wyoming") == ("0.0.0.0", 1)
    assert host_and_port("[::]:10300", "--wyoming") == ("::", 10300)
    for wrong in ("", "x", "host:", ":70000", "10300:x", "²"):
        with pytest.raises(UsageError, match="--wyoming"):
            host_and_port(wrong, "--wyoming")


def test_the_command_says_where_and_warns_of_other_addresses():
    command = [sys.executable, "-m", "edgestream", "serve", "--port", "0"]
    command += ["-m", "synthetic-en", "--wyoming", "0.0.0.0:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        line = next(line for line in server.stderr if "Wyoming" in line)
        port = int(re.search(r"port (\d+)", line)[1])

        async def talk(client):
            await client.write_event(Describe().event())
            return Info.from_event(await client.read_event())

        try:
            info = run((None, port), talk)
        finally:
            server.terminate()
    assert "no token guards it" in line
    assert info.asr[0].models[0].name == "synthetic-en"


def test_a_port_that_is_none_is_one_line():
    command = [sys.executable, "-m", "edgestream", "serve", "--wyoming", "x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--wyoming x: is no port" in done.stderr


def frames(data, cuts):
    """What is read of bytes that come in pieces: events, and the refusal at the end."""

    async def reading():
        reader = asyncio.StreamReader(limit=HEADER_BYTES)
        borders = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for start, end in pairwise(borders):
            reader.feed_data(data[start:end])
        reader.feed_eof()
        found = []
        try:
            while (event := await read_event(reader)) is not None:
                found.append((event.type, event.data, event.payload))
        except RefusalError as refusal:
            found.append(refusal.code)
        return found

    return asyncio.run(reading())


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(
                lambda head, rest: json.dumps(head).encode() + b"\n" + rest,
                st.dictionaries(
                    st.sampled_from(["type", "data", "data_length", "payload_length", "x"]),
                    st.one_of(
                        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
                        st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
                    ),
                ),
                st.binary(max_size=20),
            ),
        ),
        max_size=5,
    ),
    st.lists(st.integers(0, 400), max_size=6),
)  # fmt: skip
@settings(max_examples=300)
def test_any_bytes_are_events_or_one_refusal_however_they_are_cut(parts, cuts):
    data = b"".join(parts)
    whole = frames(data, [])
    assert frames(data, cuts) == whole
    assert all(isinstance(each, tuple) for each in whole[:-1])


def test_limits_are_those_of_the_frame():
    for name, most in (("data_length", DATA_BYTES), ("payload_length", PAYLOAD_BYTES)):
        at_most = json.dumps({"type": "x", name: most}).encode() + b"\n"
        assert frames(at_most, []) == []  # the rest does not come
        above = json.dumps({"type": "x", name: most + 1}).encode() + b"\n"
        assert frames(above, []) == ["too-long"]


def test_random_order_of_events_is_no_fault(server):
    """No state of a connection is one that a client can break."""
    chance = random.Random(5)
    made = [
        lambda: Event("audio-stop"), lambda: AudioStart(16_000, 2, 1).event(),
        lambda: AudioChunk(chance.choice([8_000, 16_000]), 2, 1, audio=b"ab" * 99).event(),
        lambda: Transcribe(language=chance.choice(["en", None])).event(),
        lambda: Event("unknown", {"x": 1}), lambda: Describe().event(),
        lambda: Event("transcribe", {"transcript_names": ["Ann", 5], "transcript_terms": 7}),
    ]  # fmt: skip

    async def talk(client):
        for _ in range(60):
            await client.write_event(chance.choice(made)())
        await client.write_event(Ping("end").event())
        while not Pong.is_type((event := await client.read_event()).type):
            assert not Error.is_type(event.type), event.data

    run(server, talk)
    server[0].wait_until_empty()
