# SPDX-License-Identifier: Apache-2.0
"""The application: one pool of sessions, a route for each protocol, a guard before them all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

import edgestream
from edgestream.errors import EdgestreamError, UsageError
from edgestream.serve.guard import Guard, error_body
from edgestream.serve.limits import Limits
from edgestream.serve.live import Live
from edgestream.serve.live_routes import live_events, picture
from edgestream.serve.metrics import Metrics
from edgestream.serve.models import Models
from edgestream.serve.openai.model_names import listed, one
from edgestream.serve.openai.realtime import realtime
from edgestream.serve.openai.transcriptions import transcriptions, translations
from edgestream.serve.openapi import described
from edgestream.serve.page_files import page_routes
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.stream_socket import Relay, serve
from edgestream.serve.transcripts import Transcripts
from edgestream.serve.wyoming_server import serving_wyoming
from edgestream.sources.block import MAX_RATE_HZ, MIN_RATE_HZ


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is started with."""

    models: Sequence[str]
    hosts: Sequence[str]  # what Host may be, port included
    token: str | None = None
    wyoming: socket.socket | None = None  # bound to the port for that protocol
    live: Callable[[Models], Live] | None = None  # makes the server's own source
    transcripts: Path | None = None
    log_text: bool = False
    limits: Limits = field(default_factory=Limits)
    cores: int | None = None  # to compute on; None: all that this process may use
    replica: str = ""  # the name of this server, if others serve the same clients
    relay: Relay | None = None  # reaches the sessions of those others


def build_app(settings: Settings) -> Starlette:
    """The ASGI application. Loads the models; sessions begin when it is started (lifespan).

    Raises EdgestreamError when a model or the transcripts' folder cannot be used.
    """
    models, metrics, kept = Models(settings.models), Metrics(), _kept(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        live = app.state.live = settings.live(models) if settings.live else None
        pool = app.state.pool = Pool(
            models, settings.limits, metrics, kept,
            cores=settings.cores, replica=settings.replica,
        )  # fmt: skip
        if live is not None and live.kind != "camera":
            pool.reserve(models.default)
        pool.measure()
        if live is not None:
            live.start(on_end=pool.release)
        sweeping = asyncio.create_task(pool.sweep())
        async with serving_wyoming(pool, settings.wyoming):
            try:
                yield
            finally:
                sweeping.cancel()
                await drain(app)
        pool.close()

    pages = page_routes()
    public = [route.path for route in pages] + ["/healthz"]
    app = Starlette(
        routes=[*pages, *_routes()],
        lifespan=lifespan,
        exception_handlers={EdgestreamError: _refused, 404: _not_found, 405: _not_found},
        middleware=[
            Middleware(
                Guard, hosts=settings.hosts, token=settings.token, public=public,
                limits=settings.limits, metrics=metrics,
            )
        ],
    )  # fmt: skip
    app.state.settings = settings
    app.state.metrics = metrics
    return app


def _kept(settings: Settings) -> Transcripts | None:
    if settings.transcripts is None and not settings.log_text:
        return None
    return Transcripts(settings.transcripts, log_text=settings.log_text)


async def drain(app: Starlette) -> None:
    """No new sessions; all get their last words. May be repeated."""
    live: Live | None = app.state.live
    if live is not None:
        live.stop()
    await app.state.pool.drain()
    if live is not None:
        await live.wait()


def _routes() -> list[BaseRoute]:
    return [
        WebSocketRoute("/v1/stream", _stream),
        WebSocketRoute("/v1/realtime", realtime),
        Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
        Route("/v1/audio/translations", translations, methods=["POST"]),
        Route("/v1/models", listed, methods=["GET"]),
        Route("/v1/models/{name}", one, methods=["GET"]),
        Route("/openapi.json", described, methods=["GET"]),
        Route("/v1/server", _server, methods=["GET"]),
        Route("/v1/live", live_events, methods=["GET"]),
        Route("/v1/picture.jpg", picture, methods=["GET"]),
        Route("/healthz", _health, methods=["GET"]),
        Route("/metrics", _metrics, methods=["GET"]),
    ]


async def _stream(socket: WebSocket) -> None:
    state = socket.app.state
    await serve(socket, state.pool, state.settings.relay)


async def _server(request: Request) -> Response:
    state = request.app.state
    pool: Pool = state.pool
    return JSONResponse(
        {
            "version": edgestream.__version__,
            "models": pool.models.described(),
            "live": {"kind": state.live.kind, "name": state.live.name} if state.live else None,
            "sessions": len(pool.sessions),
            "most_sessions": pool.limits.sessions,
            "resume_within_s": pool.limits.resume_s,
            "rates": [MIN_RATE_HZ, MAX_RATE_HZ],
            "token_needed": state.settings.token is not None,
        }
    )


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _metrics(request: Request) -> Response:
    text = request.app.state.pool.metrics_text()
    return Response(text, media_type="text/plain; version=0.0.4")


async def _refused(request: Request, error: Exception) -> Response:
    """What edgestream refuses, as JSON."""
    if not isinstance(error, RefusalError):
        code = "bad-request" if isinstance(error, UsageError) else "failed"
        error = RefusalError(code, str(error))
    request.app.state.metrics.refused(error.code)
    return JSONResponse(error_body(error), error.status)


async def _not_found(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", 404))
    what = "is not here" if status == 404 else f"does not take {request.method}"
    refusal = RefusalError("not-found", f"{request.url.path[:80]}: {what}; see docs/serve.md")
    return JSONResponse(error_body(refusal), status, getattr(error, "headers", None))
