# SPDX-License-Identifier: Apache-2.0
"""Sessions that end badly, or with their server: nothing hangs, and no line is lost."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import soundfile

import edgestream
from edgestream.data import DATA
from edgestream.errors import UsageError
from edgestream.events import Final
from edgestream.serve import pool as pools
from edgestream.serve import run as running
from edgestream.serve.limits import Limits
from edgestream.serve.metrics import Metrics
from edgestream.serve.models import Models
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.transcripts import Transcripts

MODEL, RATE_HZ = "synthetic-en", 16_000
PATIENCE_S = 60.0
SILENCE = np.zeros(RATE_HZ // 10, np.float32)
LINE = Final(text="the last line", words=[], start_ms=0.0, end_ms=100.0)


@pytest.fixture(scope="module")
def models():
    return Models([MODEL])


class Held:
    """A function that waits in the middle until it is let go."""

    def __init__(self, then):
        self.begun, self.go, self._then = threading.Event(), threading.Event(), then

    def __call__(self, *given):
        self.begun.set()
        assert self.go.wait(PATIENCE_S)
        return self._then(*given)

    async def wait(self):
        assert await asyncio.to_thread(self.begun.wait, PATIENCE_S)


def recording(pool):
    return pool.open(rate_hz=RATE_HZ, live=False)


def test_a_line_that_is_computed_while_its_session_is_closed_is_kept(models, tmp_path):
    async def run():
        pool = Pool(models, Limits(), Metrics(), Transcripts(tmp_path, log_text=False))
        session = await recording(pool)
        held = session.stream.take = Held(lambda block: [LINE])
        await session.push(SILENCE)
        await held.wait()
        pool.forget(session)
        threading.Timer(0.1, held.go.set).start()
        pool.close()

    asyncio.run(run())
    (path,) = tmp_path.iterdir()
    assert [json.loads(row)["text"] for row in path.read_text().splitlines()] == [LINE.text]
    assert str(path) not in [each.path for each in psutil.Process().open_files()]


@pytest.mark.parametrize("how", ["drain", "hand_over"])
def test_a_session_that_is_being_opened_when_the_server_ends_is_refused(
    models, monkeypatch, tmp_path, how
):
    name, opener = models.opener(MODEL, RATE_HZ, {})
    held = Held(opener)
    monkeypatch.setattr(models, "opener", lambda *given: (name, held))

    async def run():
        pool = Pool(models, Limits(), Metrics(), Transcripts(tmp_path, log_text=False))
        opening = asyncio.ensure_future(recording(pool))
        await held.wait()
        await (pool.drain() if how == "drain" else pool.hand_over(elsewhere=False))
        held.go.set()
        with pytest.raises(RefusalError, match="the server is ending"):
            await opening
        assert pool.sessions == []
        pool.close()

    asyncio.run(run())


@pytest.mark.parametrize("how", ["drain", "hand_over"])
def test_a_long_message_does_not_keep_a_server_from_its_end(models, monkeypatch, how):
    monkeypatch.setattr(pools, "DRAIN_S", 0.2)

    async def run():
        pool = Pool(models, Limits(), Metrics())
        session = await recording(pool)
        session.resumable = True
        held = session.stream.take = Held(lambda block: [])
        pushing = asyncio.ensure_future(session.push(np.zeros(60 * RATE_HZ, np.float32)))
        await held.wait()
        ending = pool.drain() if how == "drain" else pool.hand_over(elsewhere=False)
        done, _ = await asyncio.wait([asyncio.ensure_future(ending)], timeout=5)
        held.go.set()
        pool.close()
        assert done
        with pytest.raises(UsageError):
            await pushing

    asyncio.run(run())


def test_a_second_interrupt_ends_what_is_drained(monkeypatch):
    closed = []

    pool = SimpleNamespace(close=lambda: closed.append("pool"))
    app = SimpleNamespace(state=SimpleNamespace(pool=pool))

    async def shutdown():
        closed.append("application")

    async def never(app):
        await asyncio.Event().wait()

    async def run():
        server = running.Server(running.uvicorn.Config(app), app, lambda: None)
        server.servers, server.lifespan = [], SimpleNamespace(shutdown=shutdown)
        ending = asyncio.ensure_future(server.shutdown())
        asyncio.get_running_loop().call_later(0.1, setattr, server, "force_exit", True)
        done, _ = await asyncio.wait([ending], timeout=5)
        ending.cancel()
        assert done

    monkeypatch.setattr(running, "drain", never)
    asyncio.run(run())
    assert closed == ["pool", "application"]


async def told(session):
    return [event async for _, event in session.events()]


def test_a_session_whose_stream_fails_harms_no_other(models):
    samples = soundfile.read(DATA / "sample.flac", dtype="float32", frames=4 * RATE_HZ)[0]
    stream = edgestream.load(MODEL).stream(rate_hz=RATE_HZ)
    wanted = [e for e in stream.push(samples) + stream.finish() if isinstance(e, Final)]

    def fault(block):
        raise RuntimeError("a stage has failed")

    async def run():
        pool = Pool(models, Limits(), Metrics(), cores=1)
        failing, other = await recording(pool), await recording(pool)
        failing.stream.take = fault
        for session in (failing, other):
            await session.push(samples[:RATE_HZ])
        with pytest.raises(RefusalError, match="failed by a fault of the server"):
            await told(failing)
        await other.push(samples[RATE_HZ:])
        other.finish()
        assert [e for e in await told(other) if isinstance(e, Final)] == wanted
        assert pool.sessions == []
        pool.close()

    assert wanted
    asyncio.run(run())
