# SPDX-License-Identifier: Apache-2.0
"""A client of the server's own protocol that nothing stops: it comes back after each trouble.

After a lost connection it asks for its session again and sends what was not counted. If the server
knows that session no more, it begins a new one with the sound of its last final line, so that the
words behind that line are heard in their context, and leaves out what it was told before.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

RATE_HZ, BYTES = 16_000, 2
AGAIN_S = 0.3  # before it connects again
LEAD_MS = 300.0  # of sound before the last line, so that its first word is whole
STEP_MS = 800.0  # models hear in steps; at a multiple of all, they hear what they heard before
PACE_S = 0.1  # of sound in a message, where it is sent as it is spoken


class Sound(Protocol):
    """What is sent: s16le at 16 kHz, mono, that can be read again from anywhere."""

    @property
    def n_bytes(self) -> int: ...

    def read(self, at: int, n: int) -> bytes: ...


@dataclass
class Told:
    """What a client was told, over all of its sessions. Times are those of its sound."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    begins_ms: list[float] = field(default_factory=list)  # where each session begins
    n_connections: int = 0
    n_twice: int = 0  # events that came a second time
    behind_ms: list[float] = field(default_factory=list)
    heard_ms: float = 0.0
    errors: list[str] = field(default_factory=list)  # codes that the server gave


class ResumingClient:
    """`pace`: sends as one speaks, in a live session; else as fast as the server takes it."""

    def __init__(
        self,
        stream: str,
        sound: Sound,
        seed: int = 0,
        *,
        pace: bool = False,
        model: str | None = None,
    ) -> None:
        self.told = Told()
        self.stream = stream  # where it connects next
        self.ids: list[str] = []  # of its sessions
        self.done = False
        self._sound, self._pace, self._model = sound, pace, model
        self._dice = random.Random(seed)
        self._session = ""  # its id; none yet
        self._begin = 0  # byte of the sound where the session begins
        self._told_ms = 0.0  # what was told before the session began
        self._seq = 0  # the newest that came
        self._socket: ClientConnection | None = None

    async def run(self) -> Told:
        """Until the server has told all."""
        while not self.done:
            with suppress(OSError, TimeoutError, WebSocketException):
                await self._connection()
            if not self.done:
                await asyncio.sleep(AGAIN_S)
        return self.told

    def drop(self) -> None:
        """Breaks the connection, as a network does: nobody says goodbye."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _connection(self) -> None:
        # Its own pings would wait behind the sound that it has sent.
        async with connect(
            self.stream, max_size=None, ping_interval=None, open_timeout=30, close_timeout=1
        ) as socket:
            self._socket = socket
            self.told.n_connections += 1
            at = await self._greeted(socket)
            if at is None:
                return
            sending = asyncio.create_task(self._send(socket, at))
            try:
                await self._listen(socket)
            finally:
                sending.cancel()
                with suppress(asyncio.CancelledError, WebSocketException, OSError):
                    await sending

    async def _greeted(self, socket: ClientConnection) -> int | None:
        """Where in the sound to go on; None: the session is no more, or there is no room."""
        if self._session:
            ask = {"type": "resume", "session": self._session, "seq": self._seq}
        else:
            self._begin = self._line_byte()
            self._told_ms = self.told.lines[-1]["end_ms"] if self.told.lines else 0.0
            ask = {"type": "hello", "rate_hz": RATE_HZ, "live": self._pace, "model": self._model}
        await socket.send(json.dumps(ask))
        answer = json.loads(await asyncio.wait_for(socket.recv(), 60))
        if answer["type"] == "resumed":
            return self._begin + int(answer["bytes"])
        if answer["type"] == "ready":
            self._session, self._seq = answer["session"], 0
            self.ids.append(self._session)
            self.told.begins_ms.append(self._told_ms)
            return self._begin
        self._refused(answer)
        return None

    @property
    def _begin_ms(self) -> float:
        return self._begin / BYTES / RATE_HZ * 1000

    def _line_byte(self) -> int:
        """Where the last final line begins, or a little before."""
        start_ms = begin_ms(self.told.lines[-1]) if self.told.lines else 0.0
        return round(start_ms * RATE_HZ / 1000) * BYTES

    async def _send(self, socket: ClientConnection, at: int) -> None:
        """The sound from byte `at` on, in pieces of any size, then `end`."""
        start_s, start = time.monotonic(), at
        while data := self._sound.read(at, self._piece()):
            await socket.send(data)
            at += len(data)
            if self._pace:
                ahead_s = (at - start) / BYTES / RATE_HZ - (time.monotonic() - start_s)
                await asyncio.sleep(max(0.0, ahead_s))
        await socket.send('{"type": "end"}')

    def _piece(self) -> int:
        if self._pace:
            return round(PACE_S * RATE_HZ) * BYTES
        return self._dice.choice((1, 777, 6400, 32_001, 64_000))

    async def _listen(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            kind = message["type"]
            if kind == "heard":
                self.told.heard_ms = self._begin_ms + message["heard_ms"]
                self.told.behind_ms.append(message["behind_ms"])
            elif kind == "error":
                self._refused(message)
            elif message["seq"] <= self._seq:
                self.told.n_twice += 1
            else:
                self._seq = message["seq"]
                await self._take(socket, message)

    async def _take(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        """An event that is new."""
        if message["type"] == "final":
            line = shifted(message, self._begin_ms)
            if line["end_ms"] > self._told_ms and (rest := behind(line, self._told_ms)):
                self.told.lines.append(rest)
            with suppress(WebSocketException):  # it is closed, but more may have come before
                await socket.send(json.dumps({"type": "ack", "seq": self._seq}))
        self.done = self.done or message["type"] == "done"

    def _refused(self, error: dict[str, Any]) -> None:
        self.told.errors.append(error["code"])
        if error["code"] in ("unknown-session", "failed", "idle"):
            self._session = ""


def shifted(line: dict[str, Any], by_ms: float) -> dict[str, Any]:
    """A final line, its times those of the whole sound."""
    words = [
        {
            "text": word["text"],
            "start_ms": round(word["start_ms"] + by_ms, 1),
            "end_ms": round(word["end_ms"] + by_ms, 1),
        }
        for word in line["words"]
    ]
    times = {name: round(line[name] + by_ms, 1) for name in ("start_ms", "end_ms")}
    return {"text": line["text"], "words": words, **times}


def begin_ms(line: dict[str, Any]) -> float:
    """Where a new session begins whose client has lines up to this one."""
    return max(0.0, (line["start_ms"] - LEAD_MS) // STEP_MS * STEP_MS)


def behind(line: dict[str, Any], told_ms: float) -> dict[str, Any] | None:
    """What of a line was not told before: from the first word on whose middle lies behind it."""
    words = line["words"]
    new = (i for i, word in enumerate(words) if word["start_ms"] + word["end_ms"] > 2 * told_ms)
    first = next(new, None)
    if first == 0 or not words:
        return line
    if first is None:
        return None
    text, rest = line["text"][place_of(first, line) :], words[first:]
    return {**line, "text": text, "words": rest, "start_ms": rest[0]["start_ms"]}


def place_of(n: int, line: dict[str, Any]) -> int:
    """Where word number `n` begins in its line's text; not all languages have spaces."""
    text, end = line["text"], 0
    for word in line["words"][:n]:
        if (at := text.find(word["text"], end)) >= 0:
            end = at + len(word["text"])
    return max(end, text.find(line["words"][n]["text"], end))
