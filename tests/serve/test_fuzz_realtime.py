# SPDX-License-Identifier: Apache-2.0
"""Any messages over `/v1/realtime`: an answer or an error each, no fault, nothing left."""

import asyncio
import base64
import json

import hypothesis
import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from serve_server import no_faults, running_server

SETTINGS = hypothesis.settings(max_examples=40)
LONE = "\ud800"  # half a pair of surrogates: JSON can say it, UTF-8 cannot
TEXT = st.text(max_size=8) | st.sampled_from([LONE, f"a {LONE}"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "session.update", "input_audio_buffer.append", "input_audio_buffer.commit",
        "input_audio_buffer.clear", "response.create",
    ]
)  # fmt: skip
INPUT = st.dictionaries(
    st.sampled_from(["format", "turn_detection", "transcription", "noise_reduction"]),
    ANYTHING
    | st.dictionaries(
        st.sampled_from(["type", "rate", "model", "language", "keywords", "threshold", "delay"]),
        ANYTHING
        | st.sampled_from(["audio/pcmu", "server_vad", "semantic_vad", 16_000, "synthetic-en"]),
    ),
)
SOUND = st.binary(max_size=3000).map(lambda data: base64.b64encode(data).decode())
MESSAGES = st.one_of(
    ANYTHING,
    st.builds(
        lambda kind, more: {**more, "type": kind},
        KINDS,
        st.fixed_dictionaries(
            {},
            optional={
                "audio": ANYTHING | SOUND,
                "event_id": ANYTHING,
                "final": ANYTHING,
                "model": ANYTHING,
                "session": ANYTHING | st.builds(lambda x: {"audio": {"input": x}}, INPUT),
            },
        ),
    ),
)


@pytest.fixture(scope="module")
def server():
    with no_faults(), running_server(["synthetic-en"]) as running:
        yield running


@given(st.lists(MESSAGES, max_size=8))
@SETTINGS
def test_any_messages_are_answered_or_refused(server, messages):
    async def talk():
        async with websockets.connect(f"{server.ws}/v1/realtime") as socket:
            for message in messages:
                await socket.send(json.dumps(message))
            # An unknown type is refused in either dialect; all that came before is answered then.
            await socket.send('{"type": "the last"}')
            while "the last" not in (text := await asyncio.wait_for(socket.recv(), 60)):
                assert isinstance(json.loads(text)["type"], str)

    asyncio.run(talk())


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60)))
@SETTINGS
def test_any_frame_is_refused_and_the_socket_stays_open(server, frame):
    async def talk():
        async with websockets.connect(f"{server.ws}/v1/realtime") as socket:
            await socket.recv()
            await socket.send(frame)
            return json.loads(await asyncio.wait_for(socket.recv(), 60))

    assert asyncio.run(talk())["type"] == "error"


def test_half_a_pair_of_surrogates_is_told_back(server):
    async def talk():
        async with websockets.connect(f"{server.ws}/v1/realtime") as socket:
            await socket.recv()
            await socket.send(json.dumps({"type": "nonsense", "event_id": LONE}))
            error = json.loads(await socket.recv())
            heard = {"transcription": {"prompt": LONE}, "turn_detection": None}
            await socket.send(
                json.dumps({"type": "session.update", "session": {"audio": {"input": heard}}})
            )
            updated = json.loads(await socket.recv())
            audio = base64.b64encode(bytes(48_000)).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
            await socket.recv()
            return error, updated, json.loads(await socket.recv())

    error, updated, completed = asyncio.run(talk())
    assert error["error"]["event_id"] == LONE
    assert updated["session"]["audio"]["input"]["transcription"]["prompt"] == LONE
    assert completed["type"].endswith("completed")


def test_a_message_that_is_too_long_ends_the_connection(server):
    async def talk():
        async with websockets.connect(f"{server.ws}/v1/realtime") as socket:
            await socket.recv()
            audio = "A" * (server.pool.limits.message_bytes + 4)
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await socket.recv()

    with pytest.raises(websockets.ConnectionClosedError) as closed:
        asyncio.run(talk())
    assert closed.value.rcvd.code == 1009


def test_nothing_is_left_of_all_this(server):
    server.wait_until_empty()
    assert not server.pool.sessions
