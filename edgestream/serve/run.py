# SPDX-License-Identifier: Apache-2.0
"""The server as a process: a port, an event loop, and an end that loses no word."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from edgestream.errors import UsageError
from edgestream.serve.app import drain
from edgestream.serve.limits import Limits

BACKLOG = 256
ENDINGS = (signal.SIGINT, signal.SIGTERM)
FORCED_S = 0.1  # how soon a second Ctrl-C is heeded
CLOSE_S = 5  # for connections that do not end by themselves


class Reader:
    """A client must read what it is sent: uvicorn waits for one that does not for ever."""

    stalled_s = 2 * Limits().send_s  # a protocol that says why closes before
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _stalled: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """As much waits for it as may."""
        super().pause_writing()  # type: ignore[misc]
        self._stalled = self.loop.call_later(self.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads."""
        super().resume_writing()  # type: ignore[misc]
        if self._stalled is not None:
            self._stalled.cancel()


class TimedSocket(Reader, WSProtocol):
    """A web socket; behind its end, what nobody reads is dropped."""

    def pause_writing(self) -> None:
        """Nothing more is read either: answers to pings would pile up."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """What comes is read again, unless the session has not taken what is there."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """All was sent."""
        super().on_task_complete(task)
        self.loop.call_later(self.stalled_s, self.transport.abort)


class TimedHttp(Reader, H11Protocol):
    """HTTP/1.1 whose headers must be there in time: uvicorn waits for them for ever.

    So must the rest of a body that nobody wants any more, because the answer is out.
    """

    header_s = Limits().header_s
    most_open = Limits().connections + BACKLOG  # beyond, files for all else would be missing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request is awaited."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._timer = self.loop.call_later(self.header_s, self._give_up)
        if len(self.connections) > self.most_open:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """As soon as its headers are whole a request is no longer awaited."""
        super().data_received(data)
        if self._is_answered_early:
            return
        if self.conn.their_state is not h11.IDLE or self.transport.get_protocol() is not self:
            self._timer.cancel()
        elif self._timer.cancelled():  # of the next request on this connection
            self._timer = self.loop.call_later(self.header_s, self._give_up)

    def on_response_complete(self) -> None:
        """The client may still be sending."""
        super().on_response_complete()
        if self._is_answered_early:
            self._timer.cancel()
            self._timer = self.loop.call_later(self.header_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._timer.cancel()
        super().connection_lost(exc)

    @property
    def _is_answered_early(self) -> bool:
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    def _give_up(self) -> None:
        self.transport.close()


class Server(uvicorn.Server):
    """Before it closes connections, their sessions get their last words."""

    def __init__(
        self, config: uvicorn.Config, app: Starlette, on_start: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._app, self._on_start = app, on_start

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """A signal ends the server, and is not raised once more when it has ended well."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are for the main thread
            return
        old = {each: signal.signal(each, self.handle_exit) for each in ENDINGS}
        try:
            yield
        finally:
            for each, handler in old.items():
                signal.signal(each, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tells once connections are taken."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains, then ends as any server does. A second Ctrl-C cuts that short."""
        draining = asyncio.ensure_future(drain(self._app))
        while not draining.done() and not self.force_exit:
            await asyncio.wait([draining], timeout=FORCED_S)
        if self.force_exit:
            draining.cancel()
            self._app.state.pool.close()  # nothing is left to be waited for
        else:
            draining.result()
        await super().shutdown(sockets)
        if self.force_exit:  # uvicorn would leave the application as it is
            await self.lifespan.shutdown()


def bind(host: str, port: int, option: str = "--port") -> socket.socket:
    """A port of this machine; 0 is any that is free. Raises UsageError that names the option."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{host}: no address of this machine ({error}); see {option}") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise UsageError(
            f"{host} port {port}: cannot be used: {error.strerror}; choose another {option}"
        ) from None
    return bound


def run(
    app: Starlette,
    bound: socket.socket,
    limits: Limits,
    on_start: Callable[[], None],
    tls: tuple[Path, Path] | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM, then drains; `tls` are files: a certificate and its key.

    Raises UsageError where these cannot be used.
    """
    given: dict[str, Any] = {}
    if tls is not None:
        certificate, key = map(str, tls)
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        except OSError as error:  # also of what is no certificate
            raise UsageError(
                f"--tls-certificate {certificate}, --tls-key {key}: cannot be used: {error}"
            ) from None
        given = {"ssl_certfile": certificate, "ssl_keyfile": key}
    config = uvicorn.Config(
        app,
        **uvicorn_settings(limits),
        **given,
        timeout_graceful_shutdown=CLOSE_S,
        log_config=None,
    )
    Server(config, app, on_start).run([bound])


def uvicorn_settings(limits: Limits) -> dict[str, Any]:
    """Nothing is trusted that a client may forge, and nothing that it packed is unpacked."""
    return {
        "http": TimedHttp,
        "ws": TimedSocket,
        "ws_max_size": limits.message_bytes,
        "ws_per_message_deflate": False,
        # Pings keep the way open. An answer may wait behind sound that was sent before it, so it is
        # not waited for: who says nothing is noticed by `idle_s`, who reads nothing by `send_s`.
        "ws_ping_timeout": None,
        "limit_concurrency": limits.connections,
        "backlog": BACKLOG,
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
        "lifespan": "on",
    }
