# SPDX-License-Identifier: Apache-2.0
"""How long an open stream holds up an event loop; the figures of docs/embedding.md.

    python tools/bench/event_loop.py [MODEL]

A task wakes every millisecond while another pushes a recording of a person at its own pace into an
open stream. How late it wakes is how long something else held the loop up, or the machine it.
"""

import asyncio
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

import edgestream as es

TICK_MS, BLOCK_MS, ROUNDS = 1.0, 20, 3
PERSON = Path(es.__file__).parent / "data" / "person.flac"


async def tick(late_ms):
    while True:
        start_s = time.perf_counter()
        await asyncio.sleep(TICK_MS / 1000)
        late_ms.append(1000 * (time.perf_counter() - start_s) - TICK_MS)


async def read(stream):
    return [event async for event in stream]


async def stream_it(model, samples, rate_hz):
    """Milliseconds that it took to open a stream."""
    start_s = time.perf_counter()
    opened = model.open_stream(rate_hz=rate_hz)
    open_ms = 1000 * (time.perf_counter() - start_s)
    async with opened as stream:
        reader = asyncio.create_task(read(stream))
        size = rate_hz * BLOCK_MS // 1000
        for at in range(0, len(samples), size):
            await stream.push(samples[at : at + size])
            await asyncio.sleep(BLOCK_MS / 1000)
    await reader
    return open_ms


async def main(name="whisper-tiny.en"):
    model = es.load(name)
    samples, rate_hz = soundfile.read(PERSON, dtype="float32")
    for what, work in (("nothing else", lambda: asyncio.sleep(10)),
                       ("a stream", lambda: stream_it(model, samples, rate_hz))):  # fmt: skip
        late_ms, opens_ms = [], []
        for _ in range(ROUNDS):
            ticking = asyncio.create_task(tick(late_ms))
            opens_ms.append(await work())
            ticking.cancel()
        half, most = np.percentile(late_ms, [50, 99.9])
        print(f"{what}: late by {half:.2f} ms (half), {most:.2f} ms (999 of 1000),"
              f" {max(late_ms):.1f} ms at most")  # fmt: skip
    print(f"opening: {max(opens_ms):.1f} ms at most")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
