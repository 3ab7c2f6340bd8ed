# SPDX-License-Identifier: Apache-2.0
"""What an upload may cost: length, memory, places, and the time of a client that has gone."""

import asyncio
import io
import itertools
import socket
import threading
import time

import httpx
import numpy as np
import psutil
import pytest
import soundfile
from serve_server import HOST, running_server

from edgestream.data import DATA
from edgestream.serve.limits import Limits
from edgestream.serve.openai.connected import EventStream

PERSON = DATA / "person.flac"
ROUTE = "/v1/audio/transcriptions"


def silence(hours, form="FLAC", rate_hz=8_000, head_s=None):
    """Hours of nothing in a small file; `head_s` is what its header says instead."""
    file = io.BytesIO()
    six_s = np.zeros(6 * rate_hz, np.float32)
    subtype = "VORBIS" if form == "OGG" else None
    with soundfile.SoundFile(file, "w", rate_hz, 1, format=form, subtype=subtype) as out:
        for _ in range(round(hours * 600)):
            out.write(six_s)
    data = bytearray(file.getvalue())
    if head_s is not None:  # the 36 bits of STREAMINFO that count the samples
        data[21] = data[21] & 0xF0
        data[22:26] = round(head_s * rate_hz).to_bytes(4, "big")
    return bytes(data)


def post(server, data, **fields):
    return httpx.post(server.http + ROUTE, data=fields, files={"file": data}, timeout=120)


@pytest.fixture(scope="module")
def server():
    limits = Limits(upload_sound_s=60, upload_bytes=8 << 20, uploads=2)
    with running_server(["synthetic-en"], limits=limits) as running:
        yield running


def test_hours_in_a_small_file_are_refused_by_their_header(server):
    data = silence(2)
    assert len(data) < 1 << 20
    got = post(server, data)
    assert got.status_code == 413
    assert got.json()["error"]["code"] == "too-long"
    assert "more than 60 s" in got.json()["error"]["message"]


@pytest.mark.parametrize("form", ["FLAC", "OGG"])
def test_hours_are_refused_while_they_are_decoded_with_flat_memory(server, form):
    """vLLM CVE-2026-54233: 25 MB of Opus became 15 GB."""
    data = silence(1.5, form, head_s=0 if form == "FLAC" else None)
    before = psutil.Process().memory_info().rss
    peak = [before]
    done = threading.Event()

    def watch():
        while not done.wait(0.02):
            peak.append(psutil.Process().memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    got = post(server, data)
    done.set()
    watcher.join()
    assert got.status_code == 413, got.text
    assert max(peak) - before < 64 << 20  # as float32 all of it would be 173 MB
    server.wait_until_empty()


def test_many_channels_do_not_make_large_blocks(server):
    rate_hz, n_channels = 48_000, 1000
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate_hz, n_channels, format="CAF", subtype="PCM_S8") as out:
        out.write(np.zeros((2000, n_channels), np.float32))
    assert post(server, file.getvalue()).status_code == 200


def test_too_many_bytes_are_refused_while_they_come(server):
    got = post(server, bytes(9 << 20))
    assert got.status_code == 413
    assert "at most 8 MB" in got.json()["error"]["message"]


def test_a_stream_says_in_its_own_words_that_it_failed(server):
    got = post(server, silence(1, head_s=0), stream="true")
    assert got.status_code == 200
    assert '"code": "too-long"' in got.text
    assert "[DONE]" not in got.text


def test_forms_that_are_none_are_refused(server):
    boundary = b"--x\r\n"
    for body, kind in [
        (b"", "multipart/form-data"),
        (b"", "application/json"),
        (b"file=abc", "application/x-www-form-urlencoded"),
        (b"rubbish", "multipart/form-data; boundary=x"),
        (boundary + b"\r\n\r\n", "multipart/form-data; boundary=x"),
        (boundary + b"Content-Disposition: form-data\r\n\r\n1\r\n--x--",
         "multipart/form-data; boundary=x"),
        (boundary + b"A: " + b"b" * 20_000, "multipart/form-data; boundary=x"),
        (boundary, "multipart/form-data; boundary=" + "x" * 1000),
    ]:  # fmt: skip
        got = httpx.post(server.http + ROUTE, content=body, headers={"content-type": kind})
        assert got.status_code == 400, (body[:40], kind, got.text)
        assert got.json()["error"]["message"]


def test_many_fields_and_files_are_refused(server):
    many = {f"field{n}": "x" for n in range(100)}
    assert post(server, b"x", **many).status_code == 400
    assert post(server, b"x", prompt="x" * (100 << 10)).status_code == 400
    two = [("file", ("a", b"1")), ("file", ("b", b"2"))]
    assert httpx.post(server.http + ROUTE, files=two).status_code == 400


def head(length):
    return (
        f"POST {ROUTE} HTTP/1.1\r\nHost: {HOST}:%d\r\nContent-Length: {length}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    )


def test_more_recordings_than_places_are_not_even_read(server):
    """Two that are being sent take both places; the third is told so at once."""
    slow = [socket.create_connection((HOST, server.port)) for _ in range(2)]
    for each in slow:
        each.sendall((head(1000) % server.port).encode() + b"begun")
    until_s = time.monotonic() + 60
    while (got := post(server, b"x")).status_code != 503 and time.monotonic() < until_s:
        time.sleep(0.05)
    assert got.json()["error"]["code"] == "full"
    for each in slow:
        each.close()
    while (got := post(server, b"x")).status_code == 503 and time.monotonic() < until_s:
        time.sleep(0.05)
    assert got.status_code == 400


@pytest.mark.parametrize("stream", ["false", "true"])
def test_the_session_ends_when_the_client_goes(stream):
    """A long recording, and a client that does not wait for it."""
    with running_server(["synthetic-en"]) as server:
        samples, rate_hz = soundfile.read(PERSON, dtype="float32")
        file = io.BytesIO()
        soundfile.write(file, np.tile(samples, 60), rate_hz, format="FLAC")

        async def ask():
            async with httpx.AsyncClient(timeout=120) as client:
                asking = asyncio.ensure_future(
                    client.post(server.http + ROUTE, files={"file": file.getvalue()},
                                data={"stream": stream})
                )  # fmt: skip
                while not any(each.heard_ms > 500 for each in server.pool.sessions):
                    await asyncio.sleep(0.01)
                asking.cancel()

        asyncio.run(ask())
        server.wait_until_empty()


def test_no_files_stay_open(server):
    post(server, PERSON.read_bytes(), stream="true")
    server.wait_until_empty()
    n_before = psutil.Process().num_fds()
    short = silence(1 / 600)
    for _ in range(10):
        assert post(server, b"no sound").status_code == 400
        assert post(server, short).status_code == 200
        assert post(server, short, stream="true").status_code == 200
    assert psutil.Process().num_fds() <= n_before + 3


@pytest.mark.parametrize("goes", [False, True])
def test_a_stream_ends_with_a_reader_that_does_not_read_or_goes(goes):
    """Its session would be kept for as long as the connection stays."""
    sent, ended, closed = [], [], []

    async def pieces():
        try:
            for n in itertools.count():
                yield f"data: {n}\n\n"
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def send(message):
        sent.append(message)
        if len(sent) > 3:
            await asyncio.sleep(3600)

    async def receive():
        await asyncio.sleep(0.05 if goes else 3600)
        return {"type": "http.disconnect"}

    stream = EventStream(pieces(), send_s=3600 if goes else 0.05, on_end=lambda: ended.append(True))
    asyncio.run(stream({"type": "http"}, receive, send))
    assert (len(sent), ended, closed) == (4, [True], [True])


def test_a_stream_that_never_begins_is_ended_too():
    ended = []

    async def pieces():
        yield "data"

    async def send(message):
        raise OSError("gone")

    async def receive():
        await asyncio.sleep(3600)

    stream = EventStream(pieces(), send_s=1, on_end=lambda: ended.append(True))
    with pytest.raises(OSError, match="gone"):
        asyncio.run(stream({"type": "http"}, receive, send))
    assert ended == [True]
