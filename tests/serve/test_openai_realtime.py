# SPDX-License-Identifier: Apache-2.0
"""OpenAI's realtime transcription, asked by OpenAI's own client; and vLLM's dialect of it."""

import asyncio
import base64
import json
from collections import defaultdict

import numpy as np
import openai
import pytest
import soundfile
import soxr
import websockets
from serve_server import running_server

import edgestream as es
from edgestream.data import DATA
from edgestream.scoring.words import spoken_words
from edgestream.serve.limits import Limits
from edgestream.serve.openai.realtime_config import RealtimeConfig
from edgestream.serve.told_text import joined

PERSON = DATA / "person.flac"
SAID = "conversation.item.input_audio_transcription"
PIECE_MS = 100


def pcm(rate_hz=24_000, seconds=None):
    """A person as 16-bit PCM."""
    samples, at_hz = soundfile.read(PERSON, dtype="float32")
    samples = soxr.resample(samples[: round(seconds * at_hz) if seconds else None], at_hz, rate_hz)
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def finals():
    return [event for event in es.listen(PERSON, fast=True) if isinstance(event, es.Final)]


def connect(server, **more):
    client = openai.AsyncOpenAI(base_url=f"{server.http}/v1", api_key="x")
    return client.realtime.connect(extra_query={"intent": "transcription"}, **more)


def session(**audio_input):
    return {"type": "transcription", "audio": {"input": audio_input}}


async def append(connection, data, n_bytes=4801):
    """In pieces of an odd length: samples are cut."""
    for at in range(0, len(data), n_bytes):
        audio = base64.b64encode(data[at : at + n_bytes]).decode()
        await connection.input_audio_buffer.append(audio=audio)


async def told_until(connection, kind, n=1):
    """All events up to the n-th of a kind."""
    events = []
    while n:
        events.append(await asyncio.wait_for(connection.recv(), 120))
        n -= events[-1].type == kind
    return events


def of(events, kind):
    return [event for event in events if event.type == kind]


def deltas(events):
    """The deltas of each item, joined."""
    found = defaultdict(str)
    for event in of(events, f"{SAID}.delta"):
        found[event.item_id] += event.delta
    return found


def test_an_item_is_told_word_by_word_and_then_whole(speech_server):
    async def talk():
        async with connect(speech_server) as connection:
            created = await connection.recv()
            await connection.session.update(session=session(turn_detection=None))
            updated = await connection.recv()
            await append(connection, pcm())
            await connection.input_audio_buffer.commit()
            return created, updated, await told_until(connection, f"{SAID}.completed")

    created, updated, events = asyncio.run(talk())
    assert created.type == "session.created"
    assert created.session.audio.input.turn_detection.type == "server_vad"
    assert updated.type == "session.updated"
    assert updated.session.audio.input.turn_detection is None
    assert updated.session.audio.input.format.rate == 24_000
    (committed,), (completed,) = (
        of(events, kind) for kind in ("input_audio_buffer.committed", f"{SAID}.completed")
    )
    assert committed.item_id == completed.item_id
    assert committed.previous_item_id is None
    assert deltas(events) == {completed.item_id: completed.transcript}
    assert len(of(events, f"{SAID}.delta")) > 3
    # Sent at once, it is decoded less often; signs may differ.
    known = spoken_words(joined(final.text for final in finals()))
    assert spoken_words(completed.transcript)[:3] == known[:3]
    assert completed.usage.type == "duration"
    assert completed.usage.seconds == pytest.approx(soundfile.info(PERSON).duration, abs=0.01)
    assert len({event.event_id for event in events}) == len(events)


def test_server_vad_makes_items_of_lines(speech_server):
    async def talk():
        async with connect(speech_server) as connection:
            await connection.session.update(
                session=session(turn_detection={"type": "server_vad"}, transcription={
                    "model": "gpt-4o-transcribe", "language": "en", "delay": "medium"})
            )  # fmt: skip
            silence = bytes(3 * 48_000)
            await append(connection, silence + pcm() + silence)
            events = []
            while not events or not events[-1].transcript.endswith("country."):
                events += await told_until(connection, f"{SAID}.completed")
            return events

    events = asyncio.run(talk())
    order = defaultdict(list)
    for event in events:
        if item := getattr(event, "item_id", None):
            order[item].append(event.type.removeprefix("input_audio_buffer.").split(".")[-1])
    for told in order.values():
        rest = [kind for kind in told if kind != "delta"]
        assert rest == ["speech_started", "speech_stopped", "committed", "completed"]
    completed = of(events, f"{SAID}.completed")
    assert deltas(events) == {each.item_id: each.transcript for each in completed}
    items = [each.item_id for each in of(events, "input_audio_buffer.committed")]
    previous = [each.previous_item_id for each in of(events, "input_audio_buffer.committed")]
    assert previous == [None, *items[:-1]]
    starts = [each.audio_start_ms for each in of(events, "input_audio_buffer.speech_started")]
    ends = [each.audio_end_ms for each in of(events, "input_audio_buffer.speech_stopped")]
    assert starts == sorted(starts)
    assert starts[0] > 2900
    assert all(a < b for a, b in zip(starts, ends, strict=True))
    text = " ".join(each.transcript for each in completed)
    assert len(set(text.split()) & set(joined(f.text for f in finals()).split())) > 10


@pytest.mark.parametrize("form", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_other_forms_of_sound_are_heard(speech_server, form):
    audioop = pytest.importorskip("audioop")
    rate_hz = 16_000 if form == "audio/pcm" else 8_000
    data = pcm(rate_hz, seconds=4)
    if form == "audio/pcmu":
        data = audioop.lin2ulaw(data, 2)
    elif form == "audio/pcma":
        data = audioop.lin2alaw(data, 2)

    async def talk():
        async with connect(speech_server) as connection:
            kind = {"type": form, "rate": rate_hz} if form == "audio/pcm" else {"type": form}
            await connection.session.update(session=session(format=kind, turn_detection=None))
            await append(connection, data, 999)
            await connection.input_audio_buffer.commit()
            return (await told_until(connection, f"{SAID}.completed"))[-1]

    completed = asyncio.run(talk())
    words = {word.strip(".,").lower() for word in completed.transcript.split()}
    assert len(words & set(joined(f.text for f in finals()).lower().split())) >= 3
    assert completed.usage.seconds == pytest.approx(4, abs=0.01)


def test_what_is_cleared_is_not_said_and_what_is_too_short_not_committed(speech_server):
    async def talk():
        async with connect(speech_server) as connection:
            await connection.session.update(session=session(turn_detection=None))
            await append(connection, pcm(seconds=3))
            await connection.input_audio_buffer.clear()
            events = await told_until(connection, "input_audio_buffer.cleared")
            await append(connection, bytes(2 * 24 * 99))  # 99 ms
            await connection.input_audio_buffer.commit(event_id="mine")
            events += await told_until(connection, "error")
            await append(connection, bytes(2 * 24 * 1000))
            await connection.input_audio_buffer.commit()
            return events + await told_until(connection, f"{SAID}.completed")

    events = asyncio.run(talk())
    (error,) = of(events, "error")
    assert "buffer too small. Expected at least 100ms" in error.error.message
    assert "99.00ms" in error.error.message
    assert error.error.event_id == "mine"
    assert events[-1].transcript == ""
    assert events[-1].usage.seconds == pytest.approx(1.099, abs=0.001)


def test_times_go_on_over_commits_and_new_settings(speech_server):
    async def talk():
        async with connect(speech_server) as connection:
            await connection.session.update(session=session(turn_detection=None))
            await append(connection, bytes(2 * 24 * 2000))
            await connection.input_audio_buffer.commit()
            events = await told_until(connection, f"{SAID}.completed")
            await connection.session.update(
                session=session(turn_detection={"type": "semantic_vad"},
                                format={"type": "audio/pcm", "rate": 16_000})
            )  # fmt: skip
            await append(connection, pcm(16_000, seconds=3) + bytes(3 * 32_000))
            return events + await told_until(connection, f"{SAID}.completed")

    events = asyncio.run(talk())
    (started,) = of(events, "input_audio_buffer.speech_started")
    assert 2000 <= started.audio_start_ms < 3500
    committed = of(events, "input_audio_buffer.committed")
    assert len(committed) == 2
    (updated,) = of(events, "session.updated")[1:]
    assert updated.session.audio.input.turn_detection.eagerness == "auto"


def test_a_commit_counts_no_sound_of_items_that_the_server_ended(speech_server):
    async def talk():
        async with connect(speech_server) as connection:
            await append(connection, pcm() + bytes(3 * 48_000))
            ended_ms = 0
            while ended_ms < 9000:
                events = await told_until(connection, "input_audio_buffer.speech_stopped")
                ended_ms = events[-1].audio_end_ms
            await told_until(connection, f"{SAID}.completed")
            await connection.input_audio_buffer.commit()
            events = await told_until(connection, f"{SAID}.completed")
            await connection.input_audio_buffer.commit()
            return ended_ms, events[-1], (await told_until(connection, "error"))[-1]

    ended_ms, completed, error = asyncio.run(talk())
    pushed_s = soundfile.info(PERSON).duration + 3
    assert completed.transcript == ""
    assert completed.usage.seconds == pytest.approx(pushed_s - ended_ms / 1000, abs=0.01)
    assert "buffer too small" in error.error.message


def test_a_transcription_of_null_is_the_usual_one():
    usual = RealtimeConfig("whisper-tiny.en")
    asked = session(transcription={"language": "en", "prompt": "a name", "delay": "low"})
    changed = usual.updated(asked)
    assert changed.updated(session(transcription={})) == changed
    assert changed.updated(session(transcription=None)) == usual


@pytest.mark.parametrize(
    "message",
    [
        {"type": "response.create"},
        {"type": 3},
        {"no": "type"},
        [],
        {"type": "input_audio_buffer.append"},
        {"type": "input_audio_buffer.append", "audio": "?"},
        {"type": "input_audio_buffer.append", "audio": 7},
        {"type": "session.update"},
        {"type": "session.update", "session": {"type": "realtime"}},
        {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "mp3"}}}}},
        {"type": "session.update", "session": {"audio": {"input": {"format": {"rate": 1}}}}},
        {"type": "session.update", "session": {"audio": {"input": {"turn_detection": "on"}}}},
        {"type": "session.update",
         "session": {"audio": {"input": {"transcription": {"model": "gpt-9"}}}}},
        {"type": "session.update",
         "session": {"audio": {"input": {"transcription": {"language": "de"}}}}},
        {"type": "input_audio_buffer.commit"},
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_the_socket_stays_open(speech_server, message):
    async def talk():
        async with websockets.connect(f"{speech_server.ws}/v1/realtime") as socket:
            await socket.recv()
            await socket.send(json.dumps(message))
            error = json.loads(await socket.recv())
            await socket.send(json.dumps({"type": "session.update", "session": {}}))
            return error, json.loads(await socket.recv())

    error, after = asyncio.run(talk())
    assert error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    assert error["error"]["message"]
    assert after["type"] == "session.updated"


def test_a_model_in_the_address_is_taken_or_refused(speech_server):
    async def talk(model):
        async with connect(speech_server, model=model) as connection:
            first = await connection.recv()
            return first, await connection.recv() if first.type == "error" else None

    first, _ = asyncio.run(talk("whisper-tiny.en"))
    assert first.session.audio.input.transcription.model == "whisper-tiny.en"
    with pytest.raises(websockets.ConnectionClosedError) as closed:
        asyncio.run(talk("gpt-9"))
    assert closed.value.rcvd.code == 1008


def test_browsers_send_the_key_as_a_subprotocol():
    secret = "a-secret-that-is-long"

    async def talk(server, key):
        protocols = ["realtime", f"openai-insecure-api-key.{key}"]
        async with websockets.connect(f"{server.ws}/v1/realtime", subprotocols=protocols) as socket:
            return socket.subprotocol, json.loads(await socket.recv())["type"]

    with running_server(["synthetic-en"], token=secret) as server:
        assert asyncio.run(talk(server, secret)) == ("realtime", "session.created")
        with pytest.raises(websockets.InvalidStatus) as refused:
            asyncio.run(talk(server, secret + "x"))
        assert refused.value.response.status_code == 401


def test_vllm_s_clients_are_understood(speech_server):
    async def talk():
        async with websockets.connect(f"{speech_server.ws}/v1/realtime") as socket:
            created = json.loads(await socket.recv())
            await socket.send(json.dumps({"type": "session.update", "model": "whisper-tiny.en"}))
            await socket.send(json.dumps({"type": "input_audio_buffer.commit", "final": False}))
            data = pcm(16_000)
            for at in range(0, len(data), 4096):
                audio = base64.b64encode(data[at : at + 4096]).decode()
                await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await socket.send(json.dumps({"type": "input_audio_buffer.commit", "final": True}))
            said = []
            while not said or said[-1]["type"] != "transcription.done":
                said.append(json.loads(await asyncio.wait_for(socket.recv(), 120)))
            await socket.send(json.dumps({"type": "nonsense"}))
            return created, said, json.loads(await socket.recv())

    created, said, error = asyncio.run(talk())
    assert created["id"].startswith("sess_")
    assert created["created"] > 0
    assert {each["type"] for each in said[:-1]} == {"transcription.delta"}
    assert "".join(each["delta"] for each in said[:-1]) == said[-1]["text"]
    # Sent at once, it is decoded less often; signs may differ.
    known = spoken_words(joined(final.text for final in finals()))
    assert spoken_words(said[-1]["text"])[:3] == known[:3]
    assert error["code"] == "bad-request"
    assert isinstance(error["error"], str)


def test_who_says_nothing_is_let_go():
    async def talk(server):
        async with connect(server) as connection:
            await connection.recv()
            await connection.input_audio_buffer.append(audio="AAAA")
            return await connection.recv(), [each async for each in connection]

    with running_server(["synthetic-en"], limits=Limits(idle_s=0.3)) as server:
        with pytest.raises(websockets.ConnectionClosedError) as closed:
            asyncio.run(talk(server))
        assert closed.value.rcvd.code == 1008
        server.wait_until_empty()


def test_no_session_stays_when_a_client_goes(speech_server):
    async def talk():
        async with connect(speech_server) as connection:
            await connection.recv()
            await append(connection, pcm(seconds=2))

    asyncio.run(talk())
    speech_server.wait_until_empty()
