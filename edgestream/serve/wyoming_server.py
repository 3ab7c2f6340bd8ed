# SPDX-License-Identifier: Apache-2.0
"""Wyoming, the protocol of Home Assistant's voice assistants, on a port of its own.

It knows no token: whoever reaches the port may use it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.ping import Pong

from edgestream.errors import EdgestreamError
from edgestream.serve.asked import asked
from edgestream.serve.messages import bad, field, is_text
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.wyoming_frames import HEADER_BYTES, read_event
from edgestream.serve.wyoming_info import info
from edgestream.serve.wyoming_utterance import Form, Utterance, form_of

NAMED = ("name", "language")  # fields of `transcribe`
CLOSE_S = 1.0  # for last words, when the server ends


@asynccontextmanager
async def serving_wyoming(pool: Pool, bound: socket.socket | None) -> AsyncIterator[None]:
    """Meanwhile connections are taken on a port that is bound, if there is one."""
    if bound is None:
        yield
        return
    server = WyomingServer(pool, bound)
    await server.start()
    try:
        yield
    finally:
        await server.close()


class WyomingServer:
    """Belongs to the event loop on which it is started."""

    def __init__(self, pool: Pool, bound: socket.socket) -> None:
        self._pool, self._bound = pool, bound
        self._connections: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """From here on connections are taken."""
        self._server = await asyncio.start_server(self._serve, sock=self._bound, limit=HEADER_BYTES)

    async def close(self) -> None:
        """Ends all connections; those that are being told their last words have CLOSE_S."""
        self._server.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=CLOSE_S)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._pool.limits.connections:
            writer.transport.abort()
            return
        self._connections.add(task)
        connection = Connection(self._pool, reader, writer)
        try:
            await connection.run()
        except (OSError, asyncio.CancelledError):
            pass  # the client has gone, or the server ends
        finally:
            self._connections.discard(task)
            connection.close()


class Connection:
    """One client; one utterance after the other."""

    def __init__(
        self, pool: Pool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._pool, self._reader, self._writer = pool, reader, writer
        self._sending = asyncio.Lock()
        self._wanted: dict[str, Any] = {}  # of `transcribe`
        self._form: Form | None = None  # of `audio-start`
        self._utterance: Utterance | None = None

    async def run(self) -> None:
        """Until the client goes, or has sent what cannot be used."""
        try:
            while (event := await self._receive()) is not None:
                await self._take(event)
        except EdgestreamError as error:
            refusal = error if isinstance(error, RefusalError) else bad(str(error))
            self._pool.metrics.refused(refusal.code)
            if refusal.code != "slow-reader":
                await self._send(Error(text=str(refusal), code=refusal.code))

    def close(self) -> None:
        """Lets go of all."""
        self._end_utterance()
        self._writer.close()

    async def _receive(self) -> Event | None:
        reading = asyncio.ensure_future(read_event(self._reader))
        awaited: list[asyncio.Future[Any]] = [reading]
        if self._utterance is not None:
            awaited.append(self._utterance.telling)
        limit_s = self._pool.limits.idle_s
        try:
            await asyncio.wait(awaited, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
            if self._utterance is None or not self._utterance.telling.done():
                raise RefusalError("idle", f"nothing came for {limit_s:.0f} s; connect again")
            self._utterance.telling.result()  # raises why it ended by itself
            return None  # the server ends, and all was told
        finally:
            reading.cancel()

    async def _take(self, event: Event) -> None:
        if event.type == "audio-chunk":
            await self._hear(event)
        elif event.type == "audio-start":
            self._end_utterance()
            self._form = form_of(event.data)
            self._utterance = await self._begun(self._form)
        elif event.type == "audio-stop":
            await self._finish()
        elif event.type == "transcribe":
            self._wanted = event.data
        elif event.type == "describe":
            await self._send(info(self._pool.models))
        elif event.type == "ping":
            text = event.data.get("text")
            await self._send(Pong(text if is_text(text) else None))

    async def _hear(self, event: Event) -> None:
        form = form_of(event.data) if event.data or self._form is None else self._form
        if self._utterance is None:
            self._utterance = await self._begun(form)
        await self._utterance.push(form, event.payload or b"")

    async def _finish(self) -> None:
        if self._utterance is None:  # no sound at all
            self._utterance = await self._begun(self._form or (16_000, 2, 1))
        await self._utterance.finish()
        self._end_utterance()
        self._form, self._wanted = None, {}

    async def _begun(self, form: Form) -> Utterance:
        name, language = (field(self._wanted, n, is_text, "a text", None) for n in NAMED)
        wanted = asked(
            self._pool.models,
            self._pool.limits,
            model=name if name in self._pool.models.names else None,
            language=language,
            keywords=self._hints(),
        )
        session = await self._pool.open(model=wanted.model, rate_hz=form[0], **wanted.options)
        return Utterance(self._pool, session, form, self._send)

    def _hints(self) -> list[str]:
        """Names and terms that are to be expected."""
        given = [self._wanted.get(f"transcript_{kind}") or [] for kind in ("names", "terms")]
        lists = [each for each in given if isinstance(each, list)]
        return [hint for each in lists for hint in each if is_text(hint)]

    def _end_utterance(self) -> None:
        if self._utterance is not None:
            self._utterance.close()
        self._utterance = None

    async def _send(self, event: Eventable) -> None:
        async with self._sending:
            try:
                writing = async_write_event(event.event(), self._writer)
                with anyio.fail_after(self._pool.limits.send_s):
                    await writing
            except TimeoutError:
                self._pool.metrics.dropped_reader()
                self._writer.transport.abort()
                raise RefusalError("slow-reader", "you read too slowly; connect again") from None
