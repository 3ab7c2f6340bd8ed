# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while a server runs, each as a function; none of it may cost a client a word."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from client import ResumingClient
from server_process import ServerProcess

STOPPED_S = 20.0
N_DROPPED = 1000
HELLO = b'{"type": "hello", "rate_hz": 16000, "live": true}'
Fault = Callable[[ServerProcess, Sequence[ResumingClient]], Awaitable[None]]


async def killed(server: ServerProcess, clients: Sequence[ResumingClient]) -> None:
    """`kill -9`, and a new server on the same port."""
    server.kill()
    await asyncio.to_thread(server.start)


async def stopped(
    server: ServerProcess, clients: Sequence[ResumingClient], for_s: float = STOPPED_S
) -> None:
    """SIGSTOP: the machine does something else for a while."""
    server.pause()
    try:
        await asyncio.sleep(for_s)
    finally:
        server.go_on()


async def dropped(server: ServerProcess, clients: Sequence[ResumingClient]) -> None:
    """All connections break."""
    for client in clients:
        client.drop()


async def full_disk(
    server: ServerProcess, clients: Sequence[ResumingClient], for_s: float = 10.0
) -> None:
    """No room for transcripts for a while."""
    server.fill_disk()
    try:
        await asyncio.sleep(for_s)
    finally:
        server.free_disk()


async def rubbish(server: ServerProcess, clients: Sequence[ResumingClient]) -> None:
    """Bytes that are no request, no handshake, no frame, no message."""
    bare = [os.urandom(5000), b"GET / HTTP/1.1\r\nHost:", b"\x16\x03\x01\x02\x00"]
    for data in [*bare, *(shaken(server) + each for each in spoiled())]:
        await asyncio.to_thread(send_raw, server, data)


async def flood(
    server: ServerProcess, clients: Sequence[ResumingClient], for_s: float = 5.0
) -> None:
    """A live client that sends as fast as it can, and reads nothing."""
    await asyncio.to_thread(send_raw, server, shaken(server) + frame(1, HELLO), for_s)


async def thousand(
    server: ServerProcess, clients: Sequence[ResumingClient], n: int = N_DROPPED
) -> None:
    """Connections that are opened and dropped: bare ones, half requests, web sockets, sessions."""
    opened = [b"", b"GET /healthz HTT", shaken(server), shaken(server) + frame(1, HELLO)]
    for number in range(n):
        await asyncio.to_thread(send_raw, server, opened[number % len(opened)])


FAULTS: list[tuple[Fault, int]] = [  # and how often, compared with the others
    (dropped, 6), (rubbish, 2), (flood, 2), (full_disk, 2), (thousand, 1), (stopped, 1),
    (killed, 2),
]  # fmt: skip


async def keep_failing(
    server: ServerProcess,
    clients: Sequence[ResumingClient],
    happened: list[str],
    seed: int,
    every_s: float,
) -> None:
    """One fault after the other, for ever; their names are in `happened`."""
    dice = random.Random(seed)
    faults, weights = zip(*FAULTS, strict=True)
    while True:
        await asyncio.sleep(dice.uniform(0.5, 1.5) * every_s)
        (fault,) = dice.choices(faults, weights)
        happened.append(fault.__name__)
        await fault(server, clients)


def send_raw(server: ServerProcess, data: bytes, flood_s: float = 0.0) -> None:
    """A connection that sends this and ends without a word; sound behind it for so long."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 10) as raw:
        raw.sendall(data)
        raw.settimeout(0.5)
        until_s = time.monotonic() + flood_s
        while time.monotonic() < until_s:
            with suppress(TimeoutError):  # the server takes no more at the moment
                raw.sendall(frame(2, bytes(100_000)))


def shaken(server: ServerProcess) -> bytes:
    """The request that begins a web socket."""
    return (
        f"GET /v1/stream HTTP/1.1\r\nHost: {server.address}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def frame(opcode: int, data: bytes) -> bytes:
    """A whole frame of a web socket, as a client masks it: here with zeros."""
    n = len(data)
    if n < 126:
        length = bytes([0x80 | n])
    elif n < 1 << 16:
        length = b"\xfe" + n.to_bytes(2, "big")
    else:
        length = b"\xff" + n.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + data


def spoiled() -> list[bytes]:
    """Frames behind which nothing good comes: too long, no text, not masked, no opcode."""
    huge = b"\x82\xff" + (1 << 62).to_bytes(8, "big") + bytes(4) + b"abc"
    return [huge, frame(1, b"\xff\xfe"), b"\x81\x02hi", frame(5, b"x"), frame(2, b"\0" * 9)]
