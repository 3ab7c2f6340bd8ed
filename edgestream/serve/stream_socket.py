# SPDX-License-Identifier: Apache-2.0
"""Our own protocol, `/v1/stream`: PCM in, events out, and a session that outlives its connection.

The messages and their fields are in docs/serve.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from edgestream.errors import EdgestreamError
from edgestream.events import Event
from edgestream.outlets.records import record
from edgestream.serve.messages import (
    Hello,
    bad,
    field,
    hello,
    is_count,
    is_lost_ms,
    is_text,
    parsed,
)
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.served_session import ServedSession
from edgestream.sources.pcm_decoder import PcmDecoder
from edgestream.sources.sample_formats import SampleFormat

HEARD_S = 1.0  # how often a client is told how much came


class Hearing:
    """A session of this protocol over all of its connections."""

    def __init__(self, session: ServedSession, wanted: Hello) -> None:
        self.session = session
        self.rate_hz = wanted.rate_hz
        self.decoder = PcmDecoder(SampleFormat(wanted.format), wanted.channels, wanted.rate_hz)
        self.n_bytes = 0  # of PCM that came
        self.ended = False  # the client has said so
        self.connection = 0  # counts them: an older one ends when a newer one is there
        self.taking = asyncio.Lock()  # one message at a time, over all connections


async def serve(socket: WebSocket, pool: Pool) -> None:
    """One connection, from its first message to its end."""
    await socket.accept()
    try:
        await Connection(socket, pool).run()
    except WebSocketDisconnect:
        pass
    except RefusalError as refusal:
        pool.metrics.refused(refusal.code)
        await _refuse(socket, refusal)
    except EdgestreamError as error:
        pool.metrics.refused("bad-request")
        await _refuse(socket, bad(str(error)))


class Connection:
    """One connection of a session."""

    def __init__(self, socket: WebSocket, pool: Pool) -> None:
        self._socket, self._pool = socket, pool
        self._limits = pool.limits
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Raises WebSocketDisconnect, or an EdgestreamError that the client is told."""
        first = await self._receive(self._limits.hello_s)
        message = parsed(first.get("text") or "")
        hearing, seq = await self._begun(message)
        session, number = hearing.session, hearing.connection
        tasks = [
            asyncio.ensure_future(self._listen(hearing, number)),
            asyncio.ensure_future(self._tell(hearing, seq)),
            asyncio.ensure_future(self._tell_heard(hearing)),
        ]
        try:
            await _first_failure(tasks[1], tasks[0], tasks[2])
            self._pool.forget(session)  # the client was told all
        except RefusalError as refusal:
            if refusal.code in ("failed", "bad-request", "idle", "shutting-down"):
                self._pool.forget(session)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if hearing.connection == number:
                self._pool.leave(session)

    async def _begun(self, message: dict[str, Any]) -> tuple[Hearing, int]:
        """A new session, or an old one that goes on; and the number of the last event told."""
        if message["type"] != "resume":
            wanted = hello(message, self._limits)
            session = await self._pool.open(
                model=wanted.model, rate_hz=wanted.rate_hz, live=wanted.live, **wanted.options
            )
            session.memo = hearing = Hearing(session, wanted)
            await self._send(
                {
                    "type": "ready",
                    "session": session.id,
                    "model": session.model_name,
                    "delay_ms": session.stream.delay_ms,
                    "resume_within_s": self._limits.resume_s,
                }
            )
            return hearing, 0
        session = self._pool.find(field(message, "session", is_text, "the session's id"))
        seq = field(message, "seq", is_count, "the number of your last event")
        if not isinstance(session.memo, Hearing) or not session.log.has_all_after(seq):
            raise RefusalError("unknown-session", "what you lack is no longer here; begin anew")
        hearing = session.memo
        hearing.connection += 1
        async with hearing.taking:  # what an older connection was given is counted
            await self._send({"type": "resumed", "bytes": hearing.n_bytes})
        return hearing, seq

    async def _listen(self, hearing: Hearing, number: int) -> None:
        """The client's messages, one after the other."""
        while True:
            message = await self._receive(self._limits.idle_s)
            # A message is taken whole, even if the connection ends meanwhile: it is counted whole.
            await asyncio.shield(self._take(hearing, number, message))

    async def _take(self, hearing: Hearing, number: int, message: Any) -> None:
        async with hearing.taking:
            if hearing.connection != number:
                raise WebSocketDisconnect(1001)  # the client is here on a newer one
            if (data := message.get("bytes")) is not None:
                await self._hear(hearing, data)
            else:
                await self._heed(hearing, parsed(message.get("text") or ""))

    async def _hear(self, hearing: Hearing, data: bytes) -> None:
        """Bytes are counted once they are taken: a server that ends takes no more."""
        try:
            await hearing.session.push(hearing.decoder.push(data))
            hearing.n_bytes += len(data)
        except RefusalError as refusal:
            if refusal.code != "shutting-down":
                raise

    async def _heed(self, hearing: Hearing, message: dict[str, Any]) -> None:
        """What is no sound."""
        kind, session = message["type"], hearing.session
        if kind == "ack":
            session.log.acknowledge(field(message, "seq", is_count, "a number"))
        elif kind == "lost":
            lost_ms = field(message, "ms", is_lost_ms, "milliseconds")
            reason = field(message, "reason", is_text, "a text", "lost by the client")[:80]
            n_lost = max(1, round(lost_ms * hearing.rate_hz / 1000))
            await session.push(hearing.decoder.push(b""), lost_samples=n_lost, reason=reason)
        elif kind == "end":
            if len(rest := hearing.decoder.finish()):
                await session.push(rest)
            hearing.ended = True
            session.finish()
        else:
            raise bad(f"type {kind!r:.40} is not known; send PCM, ack, lost or end")

    async def _tell(self, hearing: Hearing, seq: int) -> None:
        """All events behind `seq`, and that it is over."""
        async for number, event in hearing.session.events(seq):
            await self._send(_numbered(number, event))
        if not hearing.ended:
            await self._send(self._heard(hearing))
            raise RefusalError("shutting-down", "the server is ending; what it heard is final")
        done = {"seq": hearing.session.log.newest + 1, "type": "done"}
        await self._send({**done, "heard_ms": round(hearing.session.heard_ms, 1)})
        await self._socket.close(1000)

    async def _tell_heard(self, hearing: Hearing) -> None:
        """How much came, for as long as something comes."""
        told = -1
        while True:
            if hearing.n_bytes != told:
                told = hearing.n_bytes
                await self._send(self._heard(hearing))
            await asyncio.sleep(HEARD_S)

    def _heard(self, hearing: Hearing) -> dict[str, Any]:
        session = hearing.session
        return {
            "type": "heard",
            "bytes": hearing.n_bytes,
            "heard_ms": round(session.heard_ms, 1),
            "behind_ms": round(session.behind_ms, 1),
            "level_dbfs": round(session.meter.level_dbfs, 1),
        }

    async def _receive(self, limit_s: float) -> Any:
        try:
            message = await asyncio.wait_for(self._socket.receive(), limit_s)
        except asyncio.TimeoutError:
            raise RefusalError("idle", f"nothing came for {limit_s:.0f} s; connect again") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        async with self._sending:
            await sent(self._socket.send_text(json.dumps(message, ensure_ascii=False)), self._pool)


async def sent(sending: Awaitable[None], pool: Pool) -> None:
    """Waits for a client that reads; raises RefusalError for one that does not."""
    try:
        await asyncio.wait_for(sending, pool.limits.send_s)
    except asyncio.TimeoutError:
        pool.metrics.dropped_reader()
        raise RefusalError("slow-reader", "you read too slowly; connect again and go on") from None
    except RuntimeError:  # starlette's, of a socket that is closed already
        raise WebSocketDisconnect(1006) from None


async def _first_failure(main: asyncio.Future[None], *others: asyncio.Future[None]) -> None:
    """Waits for `main`; raises what any of them raises first."""
    pending: set[asyncio.Future[None]] = {main, *others}
    while not main.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    main.result()


def _numbered(seq: int, event: Event) -> dict[str, Any]:
    return {"seq": seq, **record(event)}


async def _refuse(socket: WebSocket, refusal: RefusalError) -> None:
    """Says why, if somebody still listens, and closes."""
    try:
        error = {"type": "error", "code": refusal.code, "message": str(refusal)}
        await asyncio.wait_for(socket.send_text(json.dumps(error, ensure_ascii=False)), 1)
        await asyncio.wait_for(socket.close(refusal.close_code), 1)
    except (RuntimeError, WebSocketDisconnect, asyncio.TimeoutError):
        pass
