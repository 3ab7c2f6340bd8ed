# SPDX-License-Identifier: Apache-2.0
"""How long a Wyoming client waits for its transcript once the speaker has ended.

    edgestream serve --wyoming 10300 &
    python tools/bench/wyoming_wait.py RECORDING... [--port 10300] [--json FILE]

Each recording is sent twice: at its own pace, so that it is decoded while it is spoken; and all at
once, as it would lie before a server that begins to decode at `audio-stop`. The time is that from
`audio-stop` to `transcript`, there with the sound that came before it in the same instant.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile
import soxr
from rich.console import Console
from rich.table import Table
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

FORM = {"rate": 16_000, "width": 2, "channels": 1}
PIECE_S = 0.064  # as Home Assistant's satellites send it


def pcm(path: Path) -> bytes:
    """16-bit PCM at 16 kHz, one channel."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(axis=1), rate_hz, FORM["rate"])
    return (np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes()


async def waited(port: int, data: bytes, *, paced: bool) -> tuple[float, str]:
    """Seconds from the end of the sound to the transcript, and the transcript."""
    n_piece = 2 * round(PIECE_S * FORM["rate"])
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(AudioStart(**FORM).event())
        begun_s = time.perf_counter()
        for n, at in enumerate(range(0, len(data), n_piece), start=1):
            if paced:
                await asyncio.sleep(max(0.0, begun_s + n * PIECE_S - time.perf_counter()))
            await client.write_event(AudioChunk(audio=data[at : at + n_piece], **FORM).event())
        ended_s = time.perf_counter() if paced else begun_s
        await client.write_event(AudioStop().event())
        while event := await client.read_event():
            if Transcript.is_type(event.type):
                return time.perf_counter() - ended_s, Transcript.from_event(event).text
    raise SystemExit("the server closed the connection")


async def measure(port: int, paths: list[Path]) -> list[dict[str, Any]]:
    """A row for each recording."""
    rows = []
    for path in paths:
        data = pcm(path)
        row: dict[str, Any] = {"recording": path.name, "length_s": len(data) / 32_000}
        for name, paced in (("at_its_pace_s", True), ("all_at_once_s", False)):
            row[name], text = await waited(port, data, paced=paced)
        rows.append({**row, "words": len(text.split())})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--port", type=int, default=10300)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = asyncio.run(measure(args.port, args.recordings))
    table = Table("recording", "length s", "at its pace s", "all at once s", "words")
    figures = ("length_s", "at_its_pace_s", "all_at_once_s")
    for row in rows:
        table.add_row(row["recording"], *(f"{row[k]:.2f}" for k in figures), str(row["words"]))
    table.add_row("median", *(f"{median(row[k] for row in rows):.2f}" for k in figures), "")
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
