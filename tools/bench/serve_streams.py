# SPDX-License-Identifier: Apache-2.0
"""How many people can be captioned at once: one server, or a process for each?

    python tools/bench/serve_streams.py [--streams 4 8] [--minutes 10] [--how server] [--json FILE]

Each stream is somebody who speaks, sent as it is spoken. The lag of a word is the time from its end
until it is final and has arrived. The server refuses nobody here: where it begins to is told. Needs
the extra `test`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import websockets
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from edgestream.bench.machine import describe
from edgestream.scoring.clips import PEOPLE, RATE_HZ, long_stream, read_clips
from edgestream.speech.listen import load

PIECE_MS = 100
WARM_S = 20.0  # not counted
SERVER = """
import sys
from dataclasses import replace
from edgestream.serve.app import Settings, build_app
from edgestream.serve.limits import Limits
from edgestream.serve.run import bind, run
limits = replace(Limits(), cores_share=1e9, sessions=1000)
bound = bind("127.0.0.1", 0)
port = bound.getsockname()[1]
app = build_app(Settings(models=["whisper-tiny.en"], hosts=[f"127.0.0.1:{port}"], limits=limits))
run(app, bound, limits, lambda: print(port, flush=True))
"""
Pcm = NDArray[np.int16]


@dataclass
class Heard:
    """What one stream gave."""

    lags_ms: list[float] = field(default_factory=list)
    behind_ms: list[float] = field(default_factory=list)  # that the server itself told
    n_words: int = 0
    n_lags: int = 0
    _times_s: list[float] = field(default_factory=list)  # when each word of the line was final

    def push(self, event: dict[str, Any], begun_s: float) -> None:
        """An event that has just arrived; the sound began at `begun_s`."""
        now_s = time.monotonic()
        if event["type"] == "draft":
            n_final = len(event["text"][: event.get("n_final", 0)].split())
            self._times_s += [now_s] * max(0, n_final - len(self._times_s))
        elif event["type"] == "final":
            words = event["words"]
            self._times_s += [now_s] * max(0, len(words) - len(self._times_s))
            if now_s - begun_s > WARM_S:
                self.lags_ms += [
                    1000 * (when_s - begun_s) - word["end_ms"]
                    for when_s, word in zip(self._times_s, words, strict=False)
                ]
            self.n_words += len(words)
            del self._times_s[: len(words)]
        elif event["type"] == "heard":
            self.behind_ms.append(event["behind_ms"])
        elif event["type"] == "lag":
            self.n_lags += 1


def speech(minutes: float) -> Pcm:
    """People who speak, one after the other."""
    parts = [piece for piece, _ in long_stream(read_clips(PEOPLE), minutes)]
    return (np.concatenate(parts) * 32767).astype("<i2")


async def paced(track: Pcm, start: int, seconds: float, begun_s: float) -> AsyncIterator[bytes]:
    """The track from a place on, and from its beginning again, as it is spoken."""
    step = RATE_HZ * PIECE_MS // 1000
    for n in range(int(seconds * 1000 / PIECE_MS)):
        await asyncio.sleep(max(0.0, begun_s + (n + 1) * PIECE_MS / 1000 - time.monotonic()))
        at = (start + n * step) % (len(track) - step)
        yield track[at : at + step].tobytes()


async def through_server(port: int, track: Pcm, start: int, seconds: float) -> Heard:
    """One stream as a client of the server."""
    heard = Heard()
    async with websockets.connect(f"ws://127.0.0.1:{port}/v1/stream") as socket:
        await socket.send(json.dumps({"type": "hello", "rate_hz": RATE_HZ}))
        await socket.recv()
        begun_s = time.monotonic()

        async def send() -> None:
            async for piece in paced(track, start, seconds, begun_s):
                await socket.send(piece)
            await socket.send('{"type": "end"}')

        sending = asyncio.create_task(send())
        async for message in socket:
            event = json.loads(message)
            heard.push(event, begun_s)
            if event["type"] == "final" and not sending.done():
                await socket.send(json.dumps({"type": "ack", "seq": event["seq"]}))
        await sending
    return heard


async def through_process(track: Pcm, start: int, seconds: float) -> Heard:
    """One stream as a process of its own."""
    heard = Heard()
    command = [sys.executable, "-m", "edgestream", "listen", "-", "--format", "jsonl", "--drafts"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    assert process.stdin is not None
    assert process.stdout is not None
    children.append(process.pid)
    process.stdin.write(bytes(2))  # what it is can be told from its first bytes
    await asyncio.sleep(5)  # all have loaded their models
    begun_s = time.monotonic()

    async def send() -> None:
        assert process.stdin is not None
        async for piece in paced(track, start, seconds, begun_s):
            process.stdin.write(piece)
            await process.stdin.drain()
        process.stdin.close()

    sending = asyncio.create_task(send())
    async for line in process.stdout:
        heard.push(json.loads(line), begun_s)
    await sending
    await process.wait()
    return heard


children: list[int] = []  # processes that compute


async def measured(
    one: Callable[[Pcm, int, float], Any], track: Pcm, n_streams: int, seconds: float
) -> dict[str, Any]:
    """So many streams at once, begun within a few seconds of each other, and what they took."""

    async def later(n: int) -> Heard:
        await asyncio.sleep(n * 0.37 % 3)
        heard: Heard = await one(track, n * len(track) // n_streams, seconds)
        return heard

    memory = asyncio.create_task(most_memory(seconds))
    found = await asyncio.gather(*(later(n) for n in range(n_streams)))
    p50, p95, p99 = ([float(np.percentile(h.lags_ms, q)) for h in found] for q in (50, 95, 99))
    behind = [float(np.percentile(h.behind_ms, 95)) for h in found if h.behind_ms]
    return {
        "streams": n_streams,
        "lag_ms_p50": max(p50),
        "lag_ms_p95": max(p95),  # of the stream where it is worst
        "lag_ms_p99": max(p99),
        "behind_ms_p95": max(behind, default=None),
        "words": sum(h.n_words for h in found),
        "told_of_lag": sum(h.n_lags for h in found),
        **await memory,
    }


async def most_memory(seconds: float) -> dict[str, float]:
    """Of all processes that compute, late in the run; and the cores that they took."""
    await asyncio.sleep(seconds * 0.5)
    before, begun_s = cpu_s(), time.monotonic()
    await asyncio.sleep(seconds * 0.4)
    used = (cpu_s() - before) / (time.monotonic() - begun_s)
    pss = [psutil.Process(pid).memory_full_info().pss for pid in children]
    return {"memory_mb": sum(pss) / 1e6, "cores": used}


def cpu_s() -> float:
    """Of all processes that compute."""
    times = [psutil.Process(pid).cpu_times() for pid in children]
    return sum(each.user + each.system for each in times)


async def with_server(track: Pcm, n_streams: int, seconds: float) -> dict[str, Any]:
    """One server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    children[:] = [process.pid]
    await asyncio.sleep(6)  # it measures what a session costs
    try:
        return await measured(
            lambda *given: through_server(port, *given), track, n_streams, seconds
        )
    finally:
        process.terminate()
        await process.wait()


async def with_processes(track: Pcm, n_streams: int, seconds: float) -> dict[str, Any]:
    """A process for each."""
    children.clear()
    return await measured(through_process, track, n_streams, seconds)


HOW = {"server": with_server, "processes": with_processes}


def main() -> None:
    """Measures and shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=[4, 6, 8, 10, 12])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--how", nargs="+", choices=HOW, default=list(HOW))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    track, rows = speech(5.0), []
    for n_streams in asked.streams:  # in turn, so that both see the same machine
        for how in asked.how:
            found = asyncio.run(HOW[how](track, n_streams, 60 * asked.minutes))
            rows.append({"how": how, **found})
            print(rows[-1], file=sys.stderr, flush=True)
    if asked.json:
        report = {**describe(load()), "minutes": asked.minutes, "rows": rows}
        asked.json.write_text(json.dumps(report, indent=1) + "\n")
    table = Table(
        "streams", "how", "lag p50 ms", "p95", "p99", "waits, p95 ms", "cores", "memory MB"
    )
    for row in rows:
        table.add_row(
            str(row["streams"]), row["how"], *(f"{row[f'lag_ms_p{q}']:.0f}" for q in (50, 95, 99)),
            "" if row["behind_ms_p95"] is None else f"{row['behind_ms_p95']:.0f}",
            f"{row['cores']:.2f}",
            f"{row['memory_mb']:.0f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
