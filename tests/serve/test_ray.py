# SPDX-License-Identifier: Apache-2.0
"""The server on a Ray cluster of two workers, all on this machine."""

import asyncio
import inspect
import json
import re
import shutil
from pathlib import Path

import httpx
import pytest
import websockets
from held_client import HeldClient
from ray_cluster import HOST, ray_cluster
from spoken import CLIPS, PERSON, RATE_HZ, pcm, words

from edgestream.errors import UsageError
from edgestream.scoring.words import spoken_words
from edgestream.serve.run import bind

pytest.importorskip("ray.serve")
HANG_S = 200.0  # nothing takes so long; the cluster is taken down even then
SMALL, WHISPER = "synthetic-en", "whisper-tiny.en"
PAGE = Path(__file__).parents[2] / "docs/scale.md"
TOKEN = "sixteen-letters-or-more"
# The model hears these rightly with and without what was said before.
MANY = [CLIPS / f"{name}.flac" for name in ("lunch_rms", "letter_slt", "umbrella_slt")]


class Served:
    """The server of the cluster."""

    def __init__(self, port, token_file):
        self.port, self.token_file = port, token_file
        self.http = f"http://{HOST}:{port}"
        self.stream = f"ws://{HOST}:{port}/v1/stream?token={TOKEN}"

    def run(self):
        """Two replicas; those that are there already are replaced, one after the other."""
        from ray import serve

        from edgestream.serve.ray import Options, build

        options = Options(
            models=f"{SMALL},{WHISPER}",
            hosts=f"{HOST}:{self.port}",
            token_file=self.token_file,
            replicas=2,
        )
        serve.run(build(options), name="edgestream", route_prefix="/")


@pytest.fixture(scope="module")
def cluster():
    with ray_cluster(2):
        yield


@pytest.fixture(scope="module")
def served(cluster, tmp_path_factory):
    from ray import serve

    bound = bind(HOST, 0)
    port = bound.getsockname()[1]
    bound.close()
    token_file = tmp_path_factory.mktemp("secret") / "token"
    token_file.write_text(TOKEN)
    serve.start(http_options={"host": HOST, "port": port})
    served = Served(port, token_file)
    served.run()
    yield served
    serve.shutdown()


def shown(what):
    """The Python of docs/scale.md that has these words in it."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    return next(block for block in blocks if what in block)


def test_a_folder_of_recordings_is_captioned_as_shown(cluster, tmp_path):
    recordings, captions = tmp_path / "recordings", tmp_path / "captions"
    recordings.mkdir()
    for clip in MANY:
        shutil.copy(clip, recordings)
    (recordings / "damaged.flac").write_bytes(b"fLaC" + bytes(100))
    code = shown("ray.data").replace("/shared/recordings", str(recordings))
    code = code.replace("/shared/captions", str(captions)).replace(WHISPER, SMALL)
    exec(compile(code, PAGE, "exec"), {"__name__": "__main__"})
    texts = [path.read_text("utf-8") for path in captions.glob("*.json")]
    rows = {Path(row["item"]).name: row for row in map(json.loads, "".join(texts).splitlines())}
    damaged = rows.pop("damaged.flac")
    assert "damaged.flac" in damaged["error"]
    assert not damaged["lines"]
    for clip in MANY:
        text = " ".join(line["text"] for line in rows[clip.name]["lines"])
        assert text.split() == words(SMALL, pcm(clip))
        assert rows[clip.name]["error"] == ""


def replica_of(session):
    return session.rpartition(".")[2]


async def said(socket, **message):
    await socket.send(json.dumps(message))


async def answer(socket):
    return json.loads(await socket.recv())


async def two_sessions(served):
    """One on each replica, and their sockets."""
    sockets, sessions = [], []
    while len({replica_of(each) for each in sessions}) < 2:
        sockets.append(await websockets.connect(served.stream))
        await said(sockets[-1], type="hello", rate_hz=RATE_HZ, live=False, model=SMALL)
        sessions.append((await answer(sockets[-1]))["session"])
    return sockets, sessions


def test_a_token_is_needed_unless_all_are_let_in_on_purpose(tmp_path):
    """Names of this machine in `hosts` keep nobody out: a client chooses what it says in Host."""
    from edgestream.serve.ray import Options, build

    local = "127.0.0.1:8000,localhost:8000,[::1]:8000"
    for hosts in (local, "127.0.0.1:8000,captions.example:8000"):
        with pytest.raises(UsageError, match="token_file"):
            build(Options(hosts=hosts))
    build(Options(hosts=local, open_to_all=True))
    with pytest.raises(UsageError, match="one of them"):
        build(Options(hosts=local, open_to_all=True, token_file=tmp_path / "token"))


def test_serve_run_sees_the_types_of_the_options():
    from edgestream.serve.ray import Options, build

    assert inspect.signature(build).parameters["options"].annotation is Options


def test_the_guard_stands_behind_rays_proxy(served):
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{served.http}/healthz").text == "ok\n"
    told = httpx.get(f"{served.http}/v1/server", headers=bearer).json()
    assert [model["name"] for model in told["models"]] == [SMALL, WHISPER]
    assert httpx.get(f"{served.http}/v1/server").status_code == 401
    foreign = {**bearer, "host": "elsewhere.example"}
    assert httpx.get(f"{served.http}/v1/server", headers=foreign).status_code == 403

    async def status(address, **headers):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(address, additional_headers=headers)
        return refused.value.response.status_code

    assert asyncio.run(status(served.stream, origin="http://elsewhere.example")) == 403
    assert asyncio.run(status(served.stream.partition("?")[0])) == 401


def test_a_recording_is_captioned(served):
    answer = httpx.post(
        f"{served.http}/v1/audio/transcriptions",
        headers={"authorization": f"Bearer {TOKEN}"},
        files={"file": MANY[0].read_bytes()},
        data={"model": SMALL},
        timeout=HANG_S,
    )
    assert answer.json()["text"].split() == words(SMALL, pcm(MANY[0]))


def test_a_client_that_comes_back_to_the_wrong_replica_goes_on(served):
    sound = pcm(MANY[0])
    half = len(sound) // 2

    async def run():
        sockets, sessions = await two_sessions(served)
        await sockets[0].send(sound[:half])
        while (await answer(sockets[0])).get("bytes") != half:
            pass
        for socket in sockets:
            await socket.close()
        wrong = {"x-session-id": replica_of(sessions[-1])}  # the router goes by it
        async with websockets.connect(served.stream, additional_headers=wrong) as socket:
            await said(socket, type="resume", session=sessions[0], seq=0)
            assert await answer(socket) == {"type": "resumed", "bytes": half, "lost_ms": 0.0}
            await socket.send(sound[half:])
            await said(socket, type="end")
            return [json.loads(text) async for text in socket], socket.close_code

    told, close_code = asyncio.run(run())
    lines = [message for message in told if message["type"] == "final"]
    assert [word["text"] for line in lines for word in line["words"]] == words(SMALL, sound)
    assert told[-1]["type"] == "done"
    assert close_code == 1000


def test_a_session_of_a_replica_that_is_gone_is_unknown(served):
    async def run():
        async with websockets.connect(served.stream) as socket:
            await said(socket, type="resume", session="secret.gone", seq=0)
            return (await answer(socket))["code"]

    assert asyncio.run(run()) == "unknown-session"


def test_no_word_is_lost_when_replicas_are_replaced(served):
    sounds = {SMALL: pcm(*3 * MANY), WHISPER: pcm(PERSON)}
    # What each sends before its replica is replaced, and how many lines it has by then.
    before = [(SMALL, 6000, 1), (WHISPER, 8000, 2), (WHISPER, 8000, 2), (SMALL, 18000, 3)]
    clients = [
        HeldClient(served.stream, sounds[model], hold_ms, model) for model, hold_ms, _ in before
    ]

    def all_hold():
        return all(
            client.holds and len(client.told.lines) >= n_lines
            for client, (_, _, n_lines) in zip(clients, before, strict=True)
        )

    async def run():
        running = []
        for client in clients:
            running.append(asyncio.ensure_future(client.run()))
            while not client.ids:
                await asyncio.sleep(0.02)
        while not all_hold():
            await asyncio.sleep(0.02)
        old = {replica_of(client.ids[-1]) for client in clients}
        await asyncio.to_thread(served.run)
        while any(replica_of(client.ids[-1]) in old for client in clients):
            await asyncio.sleep(0.02)
        for client in clients:
            client.allowed.set()
        await asyncio.gather(*running)

    asyncio.run(asyncio.wait_for(run(), HANG_S))
    heard = [spoken_words(" ".join(client.words)) for client in clients]
    expected = {m: spoken_words(" ".join(words(m, sound))) for m, sound in sounds.items()}
    assert heard == [expected[model] for model, _, _ in before]


def test_a_replica_that_dies_loses_no_word(served):
    import ray
    from ray.util import list_named_actors

    sound = pcm(*2 * MANY)
    client = HeldClient(served.stream, sound, 12_000, SMALL)

    async def run():
        running = asyncio.ensure_future(client.run())
        while not client.holds or len(client.told.lines) < 2:
            await asyncio.sleep(0.02)
        for actor in list_named_actors(all_namespaces=True):
            if actor["name"].endswith("#" + replica_of(client.ids[0])):
                ray.kill(ray.get_actor(**actor))
        client.allowed.set()
        await running

    asyncio.run(asyncio.wait_for(run(), HANG_S))
    assert client.words == words(SMALL, sound)
    assert len(client.ids) == 2
    assert client.told.errors[-1] == "unknown-session"
