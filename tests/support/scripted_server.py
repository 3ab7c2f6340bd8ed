# SPDX-License-Identifier: Apache-2.0
"""A server for the page that does what a test says: it hears numbers, and it drops connections.

Its sound is numbers: BLOCK samples of the value k say "k", and 0 is silence. So a test sees in the
captions which samples came, in which order, and how often.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from dataclasses import dataclass, field

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from edgestream.serve.page_files import page_routes

RATE_HZ = 1000
BLOCK = 100  # samples of one number
MS = 1000 / RATE_HZ


@dataclass
class Session:
    """What was heard of one client, and what it was told."""

    id: str
    n_bytes: int = 0
    begun: list[int] = field(default_factory=list)  # samples of the number that is being said
    events: list[dict] = field(default_factory=list)

    def hear(self, data: bytes) -> None:
        self.n_bytes += len(data)
        n = self.n_bytes // 2 - len(data) // 2
        for i, value in enumerate(np.frombuffer(data, "<i2").tolist()):
            self.begun = [*self.begun, value] if self.begun[-1:] == [value] else [value]
            if value and len(self.begun) == BLOCK:
                end_ms = (n + i + 1) * MS
                self.tell("draft", f"{value}?", end_ms)
                self.tell("final", str(value), end_ms)

    def tell(self, kind: str, text: str, end_ms: float) -> None:
        times = {"start_ms": end_ms - BLOCK * MS, "end_ms": end_ms}
        words = [{"text": text, "emitted_ms": end_ms, **times}]
        more = {"words": words} if kind == "final" else {"n_final": 0}
        self.events.append(
            {"seq": len(self.events) + 1, "type": kind, "text": text, **more, **times}
        )


@dataclass
class Script:
    """`drops`: after so many bytes in all a connection is lost, and with True the session too;
    with "ends" the server says that it is shutting down.

    `refuse`: an error for the next hello. `live`: what /v1/live sends, (id, event, data).
    Its first connection is lost, and so is one whose newest id is no longer among them.
    """

    drops: list[tuple[int, bool | str]] = field(default_factory=list)
    refuse: list[tuple[str, str]] = field(default_factory=list)
    live: list[tuple[int, str, dict]] = field(default_factory=list)
    live_run: str = "a1"  # the mark of the server's run
    live_is_over: bool = False
    picture: bytes | None = None  # JPEG of a camera, which then is what is live
    token: str | None = None
    n_heard: int = 0  # bytes, over all sessions
    n_connections: int = 0
    asked_from: list[str | None] = field(default_factory=list)  # Last-Event-ID of each reader


class ScriptedServer:
    """Serves the page's own files, and does as `script` says."""

    def __init__(self) -> None:
        self.script = Script()
        self.sessions: dict[str, Session] = {}
        self._names = map(str, itertools.count(1))
        routes = [
            *page_routes(),
            Route("/v1/server", self._server),
            Route("/v1/live", self._live),
            Route("/v1/picture.jpg", self._picture),
            WebSocketRoute("/v1/stream", self._stream),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), port=0, log_level="error", ws="wsproto", lifespan="off"
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, daemon=True)

    def start(self) -> str:
        """The address, without a slash at its end."""
        self._thread.start()
        while not self._uvicorn.started:
            self._thread.join(0.01)
        self.port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._uvicorn.force_exit = self._uvicorn.should_exit = True
        self._thread.join()

    def _allowed(self, request) -> bool:
        given = request.headers.get("authorization") or "Bearer " + request.query_params.get(
            "token", ""
        )
        return self.script.token is None or given == f"Bearer {self.script.token}"

    async def _server(self, request) -> Response:
        if not self._allowed(request):
            return JSONResponse({"error": {"message": "no", "code": "unauthorized"}}, 401)
        kind = "camera" if self.script.picture else "microphone"
        live = {"kind": kind, "name": "hall"} if self.script.live else None
        return JSONResponse({"models": [{"name": "numbers"}], "live": live})

    async def _picture(self, request) -> Response:
        return Response(self.script.picture, media_type="image/jpeg")

    async def _live(self, request) -> Response:
        if not self.script.live:
            return JSONResponse({"error": {"message": "nothing is heard here"}}, 404)
        last = request.headers.get("last-event-id")
        self.script.asked_from.append(last)
        is_first = len(self.script.asked_from) == 1

        def is_known(number: int) -> bool:
            return number in {each[0] for each in self.script.live}

        async def events():
            run, _, number = (last or "").rpartition("-")
            seq = int(number) if run == self.script.live_run and is_known(int(number)) else 0
            while not self._uvicorn.should_exit and (seq == 0 or is_known(seq)):
                for number, kind, data in [each for each in self.script.live if each[0] > seq]:
                    seq = number
                    number = f"{self.script.live_run}-{seq}"
                    yield f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"
                if is_first:  # the first connection is lost at once
                    return
                yield 'event: status\ndata: {"heard_ms":0,"behind_ms":0,"level_dbfs":-30}\n\n'
                if self.script.live_is_over:
                    yield "event: done\ndata: {}\n\n"
                    return
                await asyncio.sleep(0.1)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def _stream(self, socket) -> None:
        self.script.n_connections += 1
        if not self._allowed(socket):
            return await socket.close(1008)
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await self._talk(socket)

    async def _talk(self, socket):
        first = await socket.receive_json()
        session, seq = await self._begin(socket, first)
        while session:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            if data := message.get("bytes"):
                session.hear(data)
                self.script.n_heard += len(data)
                if how := self._dropped():
                    if how == "ends":
                        await self._tell(socket, session, seq)
                        await self._refuse(socket, "shutting-down", "all of it is final")
                    return await socket.close(1012)
            elif json.loads(message["text"])["type"] == "end":
                await self._tell(socket, session, seq)
                done = {"seq": len(session.events) + 1, "type": "done", "heard_ms": 0}
                await socket.send_json(done)
                return await socket.close()
            seq = await self._tell(socket, session, seq)

    async def _begin(self, socket, first) -> tuple[Session | None, int]:
        if first["type"] == "hello" and not self.script.refuse:
            session = Session(next(self._names))
            self.sessions[session.id] = session
            await socket.send_json({"type": "ready", "session": session.id})
            return session, 0
        if first["type"] == "resume" and first["session"] in self.sessions:
            session = self.sessions[first["session"]]
            await socket.send_json({"type": "resumed", "bytes": session.n_bytes})
            told_twice = max(0, first["seq"] - 2)
            return session, await self._tell(socket, session, told_twice)
        code, words = "unknown-session", "begin anew"
        if first["type"] == "hello":
            code, words = self.script.refuse.pop(0)
        await self._refuse(socket, code, words)
        await socket.close(1013 if code == "full" else 1008)
        return None, 0

    def _dropped(self) -> str | None:
        """How a connection ends now, if it does. If it is lost, the last events are not told."""
        drops = self.script.drops
        if not drops or self.script.n_heard < drops[0][0]:
            return None
        how = drops.pop(0)[1]
        if how:
            self.sessions.clear()
        return "ends" if how == "ends" else "lost"

    async def _refuse(self, socket, code: str, words: str) -> None:
        await socket.send_json({"type": "error", "code": code, "message": words})

    async def _tell(self, socket, session, seq: int) -> int:
        for event in session.events[seq:]:
            await socket.send_json(event)
        heard_ms = session.n_bytes / 2 * MS
        heard = {"type": "heard", "bytes": session.n_bytes, "heard_ms": heard_ms, "behind_ms": 0.0}
        await socket.send_json({**heard, "level_dbfs": -30.0})
        return len(session.events)
