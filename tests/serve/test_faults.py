# SPDX-License-Identifier: Apache-2.0
"""Faults while a real server runs: every client is told what the library says of its sound, once.

A short form of tools/soak, whose faults these are.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading

import faults
import pytest
import soundfile
from client import ResumingClient
from reference import compare, reference
from server_process import ServerProcess

from edgestream.data import DATA
from edgestream.library.manifest.manifest import DEFAULT_MODEL

MODEL = "synthetic-en"
PATIENCE_S = 240.0
# A clock that is set back by an hour as soon as a file is there.
SET_BACK = """
import os, runpy, sys, time
real, flag = time.time, sys.argv.pop(1)
time.time = lambda: real() - 3600 * os.path.exists(flag)
runpy.run_module("edgestream", run_name="__main__", alter_sys=True)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux")


class Recording:
    """Bytes that can be read again from anywhere."""

    def __init__(self, data: bytes) -> None:
        self.data, self.n_bytes = data, len(data)

    def read(self, at: int, n: int) -> bytes:
        return self.data[at : at + n]


@pytest.fixture(scope="module")
def sound():
    samples = soundfile.read(DATA / "sample.flac", dtype="int16")[0]
    return Recording(samples.tobytes() * 4)


@pytest.fixture(scope="module")
def wanted(sound):
    return reference(MODEL, sound)


@pytest.fixture
def server(tmp_path):
    log, kept = tmp_path / "log", tmp_path / "kept"
    with ServerProcess(log, "-m", MODEL, "--transcripts", str(kept)) as server:
        yield server


def told(server, sound, fault=None, n_clients=2, **how):
    """What clients are told while something goes wrong."""

    async def talk():
        clients = [ResumingClient(server.stream, sound, seed) for seed in range(n_clients)]
        running = [asyncio.create_task(client.run()) for client in clients]
        if fault is not None:
            while not any(client.told.lines for client in clients):
                await asyncio.sleep(0.01)
            await fault(server, clients, **how)
        return await asyncio.wait_for(asyncio.gather(*running), PATIENCE_S)

    return asyncio.run(talk())


def traces(server):
    return [line for line in server.log.read_text().splitlines() if "race" in line]


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        (faults.dropped, {}),
        (faults.stopped, {"for_s": 2.0}),
        (faults.rubbish, {}),
        (faults.flood, {"for_s": 2.0}),
        (faults.thousand, {"n": 100}),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_while_it_happens_no_line_is_lost_or_said_twice(server, sound, wanted, fault, how):
    for each in told(server, sound, fault, **how):
        assert each.lines == wanted
        assert each.n_twice == 0
    assert traces(server) == []
    assert server.end() == 0


def test_after_kill_9_clients_go_on_behind_their_last_line(tmp_path):
    """With the usual model: what is heard after the border depends on what was before it."""
    person = soundfile.read(DATA / "person.flac", dtype="int16")[0]
    sound = Recording((person.tobytes() + bytes(64_000)) * 2)
    wanted = reference(DEFAULT_MODEL, sound)
    with ServerProcess(tmp_path / "log") as server:
        (said,) = told(server, sound, faults.killed, n_clients=1)
    _, border_ms = said.begins_ms
    before = [line for line in said.lines if line["end_ms"] <= border_ms]
    assert before
    assert before == wanted[: len(before)]
    compared = compare(wanted, said.lines, said.begins_ms)
    assert (compared.n_lost, compared.n_doubled) == (0, 0), compared.differences


def test_a_full_disk_stops_no_captions_and_lines_wait_for_room(server, sound, wanted, tmp_path):
    server.fill_disk()
    said = told(server, sound)
    assert [each.lines for each in said] == [wanted] * 2
    server.free_disk()
    assert server.end() == 0
    for path in (tmp_path / "kept").iterdir():
        kept = [json.loads(row) for row in path.read_text().splitlines()]
        assert [each["text"] for each in kept if each["type"] == "final"] == [
            line["text"] for line in wanted
        ]
    assert (
        server.log.read_text().count("a transcript cannot be written") == 2
    )  # once for each session
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_thousand_connections_leave_nothing_behind(server, sound):
    told(server, sound, n_clients=1)
    asyncio.run(faults.thousand(server, [], n=100))
    before = server.running.num_fds(), server.running.num_threads()
    asyncio.run(faults.thousand(server, []))
    until = threading.Event()
    for _ in range(600):
        after = server.running.num_fds(), server.running.num_threads()
        if after <= before:
            break
        until.wait(0.1)
    assert after <= before
    assert traces(server) == []


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, sound, wanted):
    (tmp_path / "clock.py").write_text(SET_BACK)
    flag = tmp_path / "flag"

    async def set_back(server, clients):
        flag.touch()

    program = (str(tmp_path / "clock.py"), str(flag))
    with ServerProcess(tmp_path / "log", "-m", MODEL, program=program) as server:
        for each in told(server, sound, set_back):
            assert each.lines == wanted
        assert traces(server) == []
        assert server.end() == 0
