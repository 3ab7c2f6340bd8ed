# SPDX-License-Identifier: Apache-2.0
"""A client of the server's own protocol for tests: one connection, message by message."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PATIENCE_S = 60.0  # for a busy machine


class Talk:
    """A connection to `/v1/stream`; `Talk(server, hello=...)` is greeted at once."""

    def __init__(self, server: Any, first: dict[str, Any] | None = None, query: str = "") -> None:
        self.socket = connect(
            f"{server.ws}/v1/stream{query}", max_size=None, ping_interval=None,
            open_timeout=PATIENCE_S, close_timeout=1,
        )  # fmt: skip
        self.greeting: dict[str, Any] = {}
        if first is not None:
            self.say(first)
            self.greeting = self.read()

    def __enter__(self) -> Talk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def say(self, message: dict[str, Any] | str | bytes) -> None:
        """A message; a dict as JSON."""
        self.socket.send(json.dumps(message) if isinstance(message, dict) else message)

    def read(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=timeout_s))
        return message

    def here(self) -> list[dict[str, Any]]:
        """All messages that have come already."""
        found = []
        try:
            while True:
                found.append(self.read(timeout_s=0))
        except (TimeoutError, ConnectionClosed):
            return found

    def rest(self) -> list[dict[str, Any]]:
        """All messages until the server closes."""
        found = []
        try:
            while True:
                found.append(self.read())
        except ConnectionClosed:
            return found

    @property
    def close_code(self) -> int | None:
        """With which the server has closed."""
        return self.socket.close_code

    def drop(self) -> None:
        """Breaks it as a network does: nobody says goodbye."""
        with suppress(OSError):  # the server has closed it already
            linger = struct.pack("ii", 1, 0)  # a reset instead of an end
            self.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.socket.close()


def hello(rate_hz: int = 16_000, **more: Any) -> dict[str, Any]:
    """The first message of a recording's session."""
    return {"type": "hello", "rate_hz": rate_hz, "live": False, **more}


def finals(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The final lines and gaps among them, without their numbers."""
    kept = [m for m in messages if m["type"] in ("final", "gap")]
    return [{k: v for k, v in each.items() if k != "seq"} for each in kept]
