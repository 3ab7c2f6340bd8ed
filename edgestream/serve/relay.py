# SPDX-License-Identifier: Apache-2.0
"""Brings a client that comes back to the server that has its session, by way of the one it reached.

The near server reads the client's socket and hands each message on; the far one serves it as if the
socket were its own. What lies between is given by two functions, so any kind of cluster will do.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgestream.serve.pool import Pool
from edgestream.serve.stream_socket import serve

COME_AGAIN = 1012  # of a web socket: the server is begun anew; a client comes back to its session

# Of a replica, for a connection with a name: serves it by its first message, and what it answers;
# takes one more message of its client, and waits while the session has no room for it. The first
# raises ConnectionError where there is no such replica any more.
Carry = Callable[[str, str, dict[str, Any]], AsyncIterator[Message]]
Hear = Callable[[str, str, Message], Awaitable[None]]


class Near:
    """Connections that are here, of sessions that are not. Belongs to one event loop."""

    def __init__(self, replica: str, carry: Carry, hear: Hear) -> None:
        self._replica, self._carry, self._hear = replica, carry, hear
        self._telling: set[asyncio.Task[None]] = set()

    async def __call__(self, socket: WebSocket, first: dict[str, Any]) -> bool:
        """See `Relay`. If one of the two servers ends, the client is let go, to come again."""
        replica = owner(first)
        if replica in ("", self._replica):
            return False
        telling = asyncio.ensure_future(self._tell(socket, replica, first))
        self._telling.add(telling)
        try:
            await asyncio.wait({telling})
            if telling.cancelled() or isinstance(telling.exception(), ConnectionError):
                with suppress(RuntimeError, WebSocketDisconnect):  # it is gone already
                    await socket.close(COME_AGAIN)
            else:
                telling.result()
        finally:
            telling.cancel()
            self._telling.discard(telling)
        return True

    def stop(self) -> None:
        """All are let go."""
        for each in self._telling:
            each.cancel()

    async def _tell(self, socket: WebSocket, replica: str, first: dict[str, Any]) -> None:
        link, pumping = secrets.token_urlsafe(12), None
        try:
            async with aclosing(self._carry(replica, link, first)) as answers:  # type: ignore[type-var]
                async for answer in answers:
                    if pumping is None:  # from now on the far server knows the connection
                        pumping = asyncio.ensure_future(self._pump(socket, replica, link))
                    if answer["type"] != "websocket.accept":
                        await socket.send(answer)
        finally:
            if pumping is not None:
                pumping.cancel()

    async def _pump(self, socket: WebSocket, replica: str, link: str) -> None:
        while True:
            message = await socket.receive()
            await self._hear(replica, link, message)
            if message["type"] == "websocket.disconnect":
                return


class _Link:
    """A connection whose client is elsewhere."""

    def __init__(self, first: dict[str, Any]) -> None:
        self._begun: list[Message] = [
            {"type": "websocket.receive", "text": json.dumps(first)},
            {"type": "websocket.connect"},
        ]
        self._inbox: asyncio.Queue[Message] = asyncio.Queue(1)
        self.answers: asyncio.Queue[Message | None] = asyncio.Queue()

    async def receive(self) -> Message:
        return self._begun.pop() if self._begun else await self._inbox.get()

    async def hear(self, message: Message) -> None:
        await self._inbox.put(message)


class Far:
    """Sessions that are here, of connections that are not. Belongs to one event loop."""

    def __init__(self, pool: Callable[[], Pool]) -> None:
        self._pool = pool
        self._links: dict[str, tuple[_Link, asyncio.Task[None]]] = {}

    async def carry(self, link_name: str, first: dict[str, Any]) -> AsyncIterator[Message]:
        """Serves a connection; the messages of ASGI for its client, until its end."""
        link = _Link(first)
        socket = WebSocket({"type": "websocket"}, link.receive, link.answers.put)
        serving = asyncio.ensure_future(serve(socket, self._pool()))
        serving.add_done_callback(lambda _: link.answers.put_nowait(None))
        self._links[link_name] = link, serving
        try:
            while (answer := await link.answers.get()) is not None:
                yield answer
        finally:
            del self._links[link_name]
            serving.cancel()

    async def hear(self, link_name: str, message: Message) -> None:
        """One message of the client; what comes after the end is dropped."""
        found = self._links.get(link_name)
        if found is None:
            return
        link, serving = found
        putting = asyncio.ensure_future(link.hear(message))
        try:
            await asyncio.wait({putting, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()


def owner(message: dict[str, Any]) -> str:
    """The replica whose session a client wants to go on with; empty if it names none."""
    session = message.get("session")
    if message.get("type") != "resume" or not isinstance(session, str):
        return ""
    return session.rpartition(".")[2] if "." in session else ""
