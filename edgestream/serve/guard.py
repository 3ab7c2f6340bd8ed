# SPDX-License-Identifier: Apache-2.0
"""Who may ask the server: checks of Host, Origin and token before any work, and limits on bodies.

A page of somebody else's that is open in a browser here can send requests to this machine. It
cannot choose the headers Host and Origin, so these are compared with lists, whole and exact.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgestream.serve.limits import Limits
from edgestream.serve.metrics import Metrics
from edgestream.serve.refusal import RefusalError

CONTENT_POLICY = "; ".join(
    [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
        "img-src 'self' blob: data:", "worker-src 'self'", "manifest-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ]
)  # fmt: skip
HEADERS = [
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"microphone=(self), display-capture=(self), camera=()"),
]
KEY_PROTOCOL = "openai-insecure-api-key."
FOREIGN = "this address is not one of the server's; give it with --allow-host"


class Guard:
    """Stands before the application; `public` are paths that need no token."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        token: str | None,
        public: Iterable[str],
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self._app, self._limits, self._metrics = app, limits, metrics
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token, self._public = token, frozenset(public)
        self._n_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
            answered = asyncio.Event()
            with self._counted(scope):
                await self._app(
                    scope,
                    self._bounded(scope, receive, answered),
                    _with_headers(send, answered),
                )
        except RefusalError as refusal:  # of a body too: nothing was answered yet
            self._metrics.refused(refusal.code)
            await _refuse(scope, send, refusal)

    def _check(self, scope: Scope) -> None:
        """Raises RefusalError."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise RefusalError("forbidden", f"Host: {FOREIGN}")
        for origin in headers.get("origin", []):
            scheme, _, host = origin.lower().partition("://")
            if scheme not in ("http", "https") or host not in self._hosts:
                raise RefusalError("forbidden", f"Origin: {FOREIGN}")
        site, mode = (headers.get(f"sec-fetch-{name}", [""])[0] for name in ("site", "mode"))
        if site == "cross-site" and mode != "navigate":
            raise RefusalError("forbidden", "pages of others may not ask this server")
        if self._token is not None and scope["path"] not in self._public:
            self._check_token(scope, headers.get("authorization", [""])[0])

    def _check_token(self, scope: Scope, header: str) -> None:
        kind, _, given = header.partition(" ")
        if kind.lower() != "bearer":
            given = ""
        if scope["type"] == "websocket" and not given:  # browsers cannot set headers there
            query = parse_qs(scope["query_string"].decode("latin-1"))
            given = query.get("token", [_key_among(scope.get("subprotocols", []))])[0]
        wanted = (self._token or "").encode()
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), wanted):
            raise RefusalError("unauthorized", "send the server's token: Authorization: Bearer ...")

    @contextmanager
    def _counted(self, scope: Scope) -> Iterator[None]:
        """Of web sockets only so many are open; uvicorn itself counts other requests alone."""
        if scope["type"] != "websocket":
            yield
            return
        if self._n_sockets >= self._limits.connections:
            raise RefusalError("full", "too many connections are open; try again in a moment")
        self._n_sockets += 1
        try:
            yield
        finally:
            self._n_sockets -= 1

    def _bounded(self, scope: Scope, receive: Receive, answered: asyncio.Event) -> Receive:
        """A body that comes too slowly, or is too long, is refused while it comes.

        Once an answer has begun nobody wants the body, and it cannot be refused any more.
        """
        if scope["type"] != "http":
            return receive
        limits, n_bytes, begun_s, ended = self._limits, 0, time.monotonic(), False

        async def bounded() -> Message:
            nonlocal n_bytes, ended
            if ended or answered.is_set():  # waits for the client to go, as long as that takes
                return await receive()
            left_s = begun_s + limits.body_s - time.monotonic()
            try:
                with anyio.fail_after(min(limits.body_gap_s, max(0, left_s))):
                    message = await receive()
            except TimeoutError:
                if answered.is_set():
                    return await receive()
                raise RefusalError("idle", "the request came too slowly") from None
            n_bytes += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if n_bytes > limits.upload_bytes and not answered.is_set():
                raise RefusalError("too-long", f"at most {limits.upload_bytes >> 20} MB in one go")
            return message

        return bounded


def _key_among(subprotocols: Iterable[str]) -> str:
    """The token where OpenAI's client puts it in a browser, or nothing."""
    found = [name for name in subprotocols if name.startswith(KEY_PROTOCOL)]
    return found[0].removeprefix(KEY_PROTOCOL) if found else ""


def _with_headers(send: Send, answered: asyncio.Event) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.set()
            message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return sending


def error_body(refusal: RefusalError) -> dict[str, object]:
    """As OpenAI's clients read it."""
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    return {
        "error": {
            "message": str(refusal), "type": kind, "code": refusal.code, "param": refusal.param,
        }
    }  # fmt: skip


async def _refuse(scope: Scope, send: Send, refusal: RefusalError) -> None:
    body = json.dumps(error_body(refusal)).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *HEADERS]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    kind = "http" if scope["type"] == "http" else "websocket.http"
    headers.append((b"content-length", str(len(body)).encode()))
    start = {"type": f"{kind}.response.start", "status": refusal.status, "headers": headers}
    await send(start)
    await send({"type": f"{kind}.response.body", "body": body})
