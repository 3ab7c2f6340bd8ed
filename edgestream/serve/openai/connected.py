# SPDX-License-Identifier: Apache-2.0
"""Answers that end when their client has gone, or does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Response]) -> Response:
    """What `work` gives. Raises ClientGoneError, and ends the work, once the client has gone."""
    working, going = asyncio.ensure_future(work), asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait({working, going}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        working.cancel()
        going.cancel()
        await asyncio.gather(working, going, return_exceptions=True)


async def gone(receive: Receive) -> None:
    """Waits until the client has gone; its body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """Server-sent events, as they come from `pieces`; `on_end` is called in any case.

    A client that has not taken a piece in `send_s` is one that does not read.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        pieces: AsyncGenerator[str, None],
        *,
        send_s: float,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._pieces, self._send_s, self._on_end = pieces, send_s, on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until all is told, or nobody listens."""
        telling, going = (asyncio.ensure_future(each) for each in (self._tell(send), gone(receive)))
        try:
            await asyncio.wait({telling, going}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()
        except TimeoutError:
            return  # uvicorn closes the connection, as the answer has no end
        finally:
            telling.cancel()
            going.cancel()
            await asyncio.gather(telling, going, return_exceptions=True)
            await self._pieces.aclose()
            self._on_end()

    async def _tell(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for piece in self._pieces:
            body = {"type": "http.response.body", "body": piece.encode(), "more_body": True}
            with anyio.fail_after(self._send_s):
                await send(body)
        await send({"type": "http.response.body", "body": b""})
