# SPDX-License-Identifier: Apache-2.0
"""Hours of speech, silence and noise through a real server: does it stay the same, is nothing lost?

    python tools/soak/run.py --hours 24 --clients 4 --json soak.json

"Hours" are hours of sound through the server, over all clients: with 4 clients each sends 6. They
send as fast as the server takes it. One more client speaks at the world's pace meanwhile, to see
how late the server is. With --faults things go wrong all the time (see faults.py), and each client
still must be told what the library says of the same sound. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from client import ResumingClient, Told
from measure import Readings
from reference import Comparison, Line, compare, reference
from rich.console import Console
from server_process import ServerProcess
from sound import Programme
from verdict import reasons, table

import edgestream
from edgestream.bench.machine import describe
from edgestream.library.manifest.manifest import DEFAULT_MODEL

READ_S, CHECKPOINT_S = 10.0, 60.0
LIVE_SEED, LIVE_HOURS = 10_000, 24.0


async def soaked(
    server: ServerProcess, sound: Programme, given: argparse.Namespace
) -> tuple[Readings, list[Told], Told, list[str]]:
    """Readings, what the clients were told, what the live one was, and the faults."""
    clients = [ResumingClient(server.stream, sound, seed) for seed in range(given.clients)]
    talker = ResumingClient(
        server.stream, Programme(LIVE_HOURS, LIVE_SEED, given.speech), pace=True
    )
    readings = Readings(server, lambda: sum(c.told.heard_ms for c in clients) / 3_600_000)
    beside = [asyncio.create_task(_watch(readings, given.json)), asyncio.create_task(talker.run())]
    happened: list[str] = []
    if given.faults:
        from faults import keep_failing

        beside.append(
            asyncio.create_task(keep_failing(server, clients, happened, given.seed, given.every_s))
        )
    try:
        told = await asyncio.gather(*(client.run() for client in clients))
    finally:
        for task in beside:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*beside)
    await asyncio.to_thread(readings.take)
    return readings, list(told), talker.told, happened


async def _watch(readings: Readings, path: Path | None) -> None:
    """Reads for ever; what was read is in the file each minute."""
    written_s = time.monotonic()
    while True:
        await asyncio.to_thread(readings.take)
        if (
            path is not None
            and readings.newest_life
            and time.monotonic() - written_s > CHECKPOINT_S
        ):
            path.write_text(json.dumps({"finished": False, "server": readings.figures()}, indent=1))
            written_s = time.monotonic()
        await asyncio.sleep(READ_S)


def figures_of(
    readings: Readings, compared: list[Comparison], told: list[Told], talker: Told
) -> dict[str, Any]:
    """For the table and the JSON."""
    behind_ms = talker.behind_ms or [0.0]
    half = len(behind_ms) // 2
    return {
        "finished": True,
        "server": readings.figures(),
        "lives": readings.server.n_lives,
        "live_client": {
            "behind_ms_p95": float(np.percentile(behind_ms, 95)),
            "behind_ms_p95_by_half": [
                float(np.percentile(part or [0.0], 95))
                for part in (behind_ms[:half], behind_ms[half:])
            ],
            "heard_min": talker.heard_ms / 60_000,
        },
        "clients": [
            {
                "connections": each.n_connections, "sessions": len(each.begins_ms),
                "twice": each.n_twice, "errors": sorted(set(each.errors)),
                "identical": comparison.identical, "lines": comparison.n_lines,
                "words": comparison.n_words, "words_lost": comparison.n_lost,
                "words_doubled": comparison.n_doubled,
                "differences": [dataclasses.asdict(d) for d in comparison.differences],
            }
            for each, comparison in zip(told, compared, strict=True)
        ],
    }  # fmt: skip


def wanted_lines(given: argparse.Namespace, sound: Programme) -> list[Line]:
    """What must be said, computed once for all clients."""
    start_s = time.monotonic()
    lines = reference(given.model, sound)
    took_min = (time.monotonic() - start_s) / 60
    print(f"the library says {len(lines)} lines, after {took_min:.1f} min", flush=True)
    return lines


def main() -> None:
    """Runs it; exit code 1 when something is not as it must be."""
    given = arguments()
    sound = Programme(given.hours / given.clients, given.seed, given.speech)
    with tempfile.TemporaryDirectory() as folder:
        log = given.log or Path(folder) / "server.log"
        kept = str(Path(folder) / "transcripts")
        with ServerProcess(log, "-m", given.model, "--transcripts", kept) as server:
            readings, told, talker, happened = asyncio.run(soaked(server, sound, given))
            code = server.end()
        trouble = [line for line in log.read_text().splitlines() if '"trace"' in line]
    wanted = wanted_lines(given, sound)
    compared = [compare(wanted, each.lines, each.begins_ms) for each in told]
    figures = figures_of(readings, compared, told, talker)
    figures |= {"faults": happened, "exit_code": code, "traces": len(trouble)}
    figures["reasons"] = reasons(figures)
    if given.json:
        figures |= {"machine": describe(edgestream.load(given.model)), "series": readings.series()}
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    Console().print(table(figures))
    raise SystemExit(1 if figures["reasons"] else 0)


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, default=24.0, help="of sound, over all clients")
    parser.add_argument("--clients", type=int, default=4, help="at most 4: recordings at once")
    parser.add_argument("--speech", type=float, default=0.2, help="share of the time; default 0.2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--faults", action="store_true", help="things go wrong all the time")
    parser.add_argument("--every-s", type=float, default=20.0, help="seconds between faults")
    parser.add_argument("--json", type=Path, help="writes all figures there; each minute meanwhile")
    parser.add_argument("--log", type=Path, help="keeps what the server says there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
