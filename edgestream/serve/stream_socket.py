# SPDX-License-Identifier: Apache-2.0
"""Our own protocol, `/v1/stream`: PCM in, events out, and a session that outlives its connection.

The messages and their fields are in docs/serve.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgestream.errors import EdgestreamError
from edgestream.events import Event
from edgestream.outlets.records import record
from edgestream.serve.hearing import Hearing
from edgestream.serve.messages import (
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

ENDINGS = ("failed", "bad-request", "shutting-down")  # of sessions, at once
HEARD_S = 1.0  # how often a client is told how much came
REFUSE_S = 2.0  # a refusal may take to be sent

# Carries a connection to the server that has its session; whether it did, by the first message.
Relay = Callable[[WebSocket, dict[str, Any]], Awaitable[bool]]


async def serve(socket: WebSocket, pool: Pool, relay: Relay | None = None) -> None:
    """One connection, from its first message to its end."""
    await socket.accept()
    try:
        await Connection(socket, pool, relay).run()
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

    def __init__(self, socket: WebSocket, pool: Pool, relay: Relay | None) -> None:
        self._socket, self._pool, self._relay = socket, pool, relay
        self._limits = pool.limits
        self._sending = asyncio.Lock()

    async def run(self) -> None:
        """Raises WebSocketDisconnect, or an EdgestreamError that the client is told."""
        first = await self._receive(self._limits.hello_s)
        message = parsed(first.get("text") or "")
        if self._relay is not None and await self._relay(self._socket, message):
            return
        resumed = message["type"] == "resume"
        hearing, seq = self._found(message) if resumed else (await self._opened(message), 0)
        session, number, newer = hearing.session, *hearing.join()
        self._pool.join(session)
        silent = False
        try:  # from here on the client may be gone at any moment, and the session waits for it
            await (self._welcome_back(hearing) if resumed else self._welcome(hearing))
            await self._go_on(hearing, number, newer, seq)
        except RefusalError as refusal:
            silent = refusal.code == "idle"  # its last words may be kept in a file
            if hearing.connection == number and refusal.code in ENDINGS:
                self._pool.forget(session)
            raise
        finally:
            if hearing.connection == number:
                self._pool.leave(session, for_good=silent)

    def _found(self, message: dict[str, Any]) -> tuple[Hearing, int]:
        """An old session, and the number of the last event that its client has."""
        session = self._pool.find(field(message, "session", is_text, "the session's id"))
        seq = field(message, "seq", is_count, "the number of your last event")
        if not isinstance(session.memo, Hearing) or not session.log.has_all_after(seq):
            raise RefusalError("unknown-session", "what you lack is no longer here; begin anew")
        return session.memo, seq

    async def _opened(self, message: dict[str, Any]) -> Hearing:
        """A new session."""
        wanted = hello(message, self._limits)
        session = await self._pool.open(
            model=wanted.model, rate_hz=wanted.rate_hz, live=wanted.live, **wanted.options
        )
        session.memo = hearing = Hearing(session, wanted)
        session.resumable = True
        return hearing

    async def _welcome(self, hearing: Hearing) -> None:
        session = hearing.session
        await self._send(
            {
                "type": "ready",
                "session": session.id,
                "model": session.model_name,
                "delay_ms": session.delay_ms,
                "resume_within_s": self._limits.resume_s,
            }
        )

    async def _welcome_back(self, hearing: Hearing) -> None:
        async with hearing.taking:  # what an older connection was given is counted
            await self._send({"type": "resumed", **_taken(hearing)})

    async def _go_on(self, hearing: Hearing, number: int, newer: asyncio.Event, seq: int) -> None:
        """Until the client was told all, or something ends this connection."""
        tasks = [
            asyncio.ensure_future(doing)
            for doing in (
                self._tell(hearing, seq), self._listen(hearing, number),
                self._tell_heard(hearing), _replaced(newer),
            )
        ]  # fmt: skip
        try:
            await _first_failure(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, hearing: Hearing, number: int) -> None:
        """The client's messages, one after the other."""
        while True:
            # Behind its end a client says nothing, and waits for its last words.
            message = await self._receive(None if hearing.ended else self._limits.idle_s)
            # A message is taken whole, even if the connection ends meanwhile: it is counted whole.
            await asyncio.shield(self._take(hearing, number, message))

    async def _take(self, hearing: Hearing, number: int, message: Any) -> None:
        async with hearing.taking:
            if hearing.connection != number:
                raise WebSocketDisconnect(1001)  # the client is here on a newer one
            try:
                if (data := message.get("bytes")) is not None:
                    await self._hear(hearing, data)
                else:
                    await self._heed(hearing, parsed(message.get("text") or ""))
            except RefusalError as refusal:
                if refusal.code != "shutting-down":
                    raise
                hearing.cut = True  # `_tell` says so, behind the last words

    async def _hear(self, hearing: Hearing, data: bytes) -> None:
        """Bytes are counted once they are taken: a server that ends takes no more."""
        await hearing.session.push(hearing.decoder.push(data))
        hearing.n_bytes += len(data)

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
            hearing.lost_ms += lost_ms
        elif kind == "end":  # a client that came back says it again
            if not hearing.ended and len(rest := hearing.decoder.finish()):
                await session.push(rest)
            hearing.ended = not hearing.cut
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
        told = None
        while True:
            if (taken := _taken(hearing)) != told:
                told = taken
                await self._send(self._heard(hearing))
            await asyncio.sleep(HEARD_S)

    def _heard(self, hearing: Hearing) -> dict[str, Any]:
        session = hearing.session
        return {
            "type": "heard",
            **_taken(hearing),
            "heard_ms": round(session.heard_ms, 1),
            "behind_ms": round(session.behind_ms, 1),
            "level_dbfs": round(session.meter.level_dbfs, 1),
        }

    async def _receive(self, limit_s: float | None) -> Any:
        try:
            with anyio.fail_after(limit_s):
                message = await self._socket.receive()
        except TimeoutError:
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
        with anyio.fail_after(pool.limits.send_s):
            await sending
    except TimeoutError:
        pool.metrics.dropped_reader()
        raise RefusalError("slow-reader", "you read too slowly; connect again and go on") from None
    except RuntimeError:  # starlette's, of a socket that is closed already
        raise WebSocketDisconnect(1006) from None


async def _replaced(newer: asyncio.Event) -> None:
    """Raises RefusalError once the client is here on a newer connection."""
    await newer.wait()
    raise RefusalError("replaced", "this session goes on over a newer connection; this one ends")


async def _first_failure(main: asyncio.Future[None], *others: asyncio.Future[None]) -> None:
    """Waits for `main`; raises what any of them raises first."""
    pending: set[asyncio.Future[None]] = {main, *others}
    while not main.done():
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    main.result()


def _taken(hearing: Hearing) -> dict[str, Any]:
    """What a client that comes back need not send again."""
    return {"bytes": hearing.n_bytes, "lost_ms": round(hearing.lost_ms, 1)}


def _numbered(seq: int, event: Event) -> dict[str, Any]:
    return {"seq": seq, **record(event)}


async def _refuse(socket: WebSocket, refusal: RefusalError) -> None:
    """Says why, if somebody still listens, and closes."""
    try:
        error = {"type": "error", "code": refusal.code, "message": str(refusal)}
        with anyio.move_on_after(REFUSE_S):
            await socket.send_text(json.dumps(error, ensure_ascii=False))
            await socket.close(refusal.close_code)
    except (RuntimeError, WebSocketDisconnect):
        pass
