# SPDX-License-Identifier: Apache-2.0
"""A server that ends: clients begin anew with another one, and no word is lost or said twice."""

import asyncio
import json
from contextlib import suppress

import numpy as np
import pytest
import websockets
from held_client import HeldClient
from serve_server import running_server
from spoken import CLIPS, PERSON, RATE_HZ, pcm, words

from edgestream.events import Final
from edgestream.scoring.words import spoken_words

WHISPER = "whisper-tiny.en"
# The model hears these rightly with and without what was said before.
MANY = [CLIPS / f"{name}.flac" for name in ("lunch_rms", "letter_slt", "umbrella_slt")]


def handed_over(first, second, client, n_lines=0):
    """Runs the client on the first server, and ends that when the client holds and has got so many
    lines. The words that it was told."""

    async def run():
        running = asyncio.ensure_future(client.run())
        while not client.holds or len(client.told.lines) < n_lines:
            await asyncio.sleep(0.02)
        client.stream = second.ws + "/v1/stream"
        ending = first.pool.hand_over(elsewhere=True)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ending, first.loop))
        while len(client.ids) < 2:
            await asyncio.sleep(0.02)
        client.allowed.set()
        await running

    asyncio.run(run())
    return client.words


@pytest.mark.parametrize("hold_ms", [500, 4000, 9000])
def test_a_client_goes_on_with_another_server(hold_ms):
    sound = pcm(*2 * MANY)
    with running_server(["synthetic-en"]) as first, running_server(["synthetic-en"]) as second:
        client = HeldClient(first.ws + "/v1/stream", sound, hold_ms)
        heard = handed_over(first, second, client)
        assert first.pool.sessions == []
    assert client.told.errors == ["unknown-session"]
    assert heard == words("synthetic-en", sound)
    starts = [line["start_ms"] for line in client.told.lines]
    assert starts == sorted(starts)


@pytest.mark.parametrize("n_lines", [1, 2])
def test_a_person_is_heard_to_the_end_by_another_server(n_lines):
    sound = pcm(PERSON)
    with running_server() as first, running_server() as second:
        client = HeldClient(first.ws + "/v1/stream", sound, 4000 * n_lines)
        heard = handed_over(first, second, client, n_lines)
    assert spoken_words(" ".join(heard)) == spoken_words(" ".join(words(WHISPER, sound)))


def test_without_another_server_the_last_words_come_before_the_end():
    sound = pcm(MANY[0])[: -2 * RATE_HZ]  # no pause: nothing is final before the end
    told = []

    async def speak_on(server, socket):
        asyncio.run_coroutine_threadsafe(server.pool.hand_over(elsewhere=False), server.loop)
        for _ in range(20):  # who speaks on is not refused for it
            await socket.send(bytes(3200))
            await asyncio.sleep(0.01)

    async def run(server):
        async with websockets.connect(server.ws + "/v1/stream") as socket:
            await socket.send(json.dumps({"type": "hello", "rate_hz": RATE_HZ}))
            await socket.send(sound)
            with suppress(websockets.ConnectionClosed):
                async for text in socket:
                    told.append(json.loads(text))
                    if told[-1].get("bytes") == len(sound):
                        with suppress(websockets.ConnectionClosed):
                            await speak_on(server, socket)
            return socket.close_code

    with running_server(["synthetic-en"]) as server:
        close_code = asyncio.run(run(server))
    lines = [message for message in told if message["type"] == "final"]
    heard = [word["text"] for line in lines for word in line["words"]]
    assert heard == words("synthetic-en", sound)
    assert told[-1]["type"] == "error"
    assert told[-1]["code"] == "shutting-down"
    assert close_code == 1012


async def told(session):
    return [event async for _, event in session.events()]


def test_who_cannot_go_on_elsewhere_gets_last_words_and_recordings_go_on():
    sound = np.frombuffer(pcm(MANY[0]), "<i2").astype(np.float32) / 32768

    async def run(pool):
        live = await pool.open(rate_hz=RATE_HZ)
        recording = await pool.open(rate_hz=RATE_HZ, live=False)
        await live.push(sound[:-RATE_HZ])
        await pool.hand_over(elsewhere=True)
        await recording.push(sound)
        recording.finish()
        made = await told(live), await told(recording)
        pool.forget(live)
        pool.forget(recording)
        return made

    with running_server(["synthetic-en"]) as server:
        made = asyncio.run_coroutine_threadsafe(run(server.pool), server.loop).result()
    for events in made:
        heard = [word.text for event in events if isinstance(event, Final) for word in event.words]
        assert heard == words("synthetic-en", pcm(MANY[0]))


def test_a_server_computes_on_the_cores_that_it_is_given():
    with running_server(["synthetic-en"], cores=3) as server:
        assert server.pool.scheduler.n_threads == server.pool.admission.n_cores == 3


def test_a_server_that_ends_takes_no_new_sessions():
    async def run(server):
        ending = server.pool.hand_over(elsewhere=True)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ending, server.loop))
        async with websockets.connect(server.ws + "/v1/stream") as socket:
            await socket.send(json.dumps({"type": "hello", "rate_hz": RATE_HZ}))
            answer = json.loads(await socket.recv())
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            return answer["code"], socket.close_code

    with running_server(["synthetic-en"]) as server:
        assert asyncio.run(run(server)) == ("shutting-down", 1012)
