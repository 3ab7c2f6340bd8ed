# SPDX-License-Identifier: Apache-2.0
"""`/v1/realtime`, OpenAI's web socket for transcription: what a client sends, and what is wrong.

A message that cannot be used is answered by an `error`, and the socket stays open.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgestream.errors import EdgestreamError
from edgestream.serve.asked import Asked
from edgestream.serve.messages import bad, field, is_text, is_truth, parsed
from edgestream.serve.openai.realtime_config import RealtimeConfig
from edgestream.serve.openai.realtime_stream import RealtimeStream
from edgestream.serve.openai.turns import (
    BUFFER,
    HeldTurns,
    Message,
    Turns,
    VadTurns,
    VllmTurns,
    new_id,
)
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError
from edgestream.serve.stream_socket import sent

SUBPROTOCOL = "realtime"  # beside which OpenAI's client in browsers sends the key
CLOSE_S = 1.0  # closing a connection may take
LEAST_S = 0.1  # of sound that can be committed, as OpenAI has it
GOES_ON = ("bad-request", "model_not_found")  # what a client may do better the next time


async def realtime(socket: WebSocket) -> None:
    """One connection, from its first message to its end."""
    pool: Pool = socket.app.state.pool
    offered = socket.scope.get("subprotocols", [])
    await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
    connection = Connection(socket, pool)
    try:
        await connection.run()
    except WebSocketDisconnect:
        pass
    except RefusalError as refusal:
        await connection.end(refusal)
    finally:
        connection.close()


class Connection:
    """One client's settings and its stream."""

    def __init__(self, socket: WebSocket, pool: Pool) -> None:
        self._socket, self._pool = socket, pool
        self._id = new_id("sess")
        self._config = RealtimeConfig(pool.models.default)
        self._decoder = self._config.decoder()
        self._stream = RealtimeStream(pool, self._send)
        self._sending = asyncio.Lock()
        self._vllm = False

    async def run(self) -> None:
        """Raises WebSocketDisconnect, or a RefusalError that ends it."""
        model = self._socket.query_params.get("model")
        if model is not None:
            await self._configure(self._config.with_model(model))
        session = self._config.effective(self._id)
        # vLLM's clients look for `id` and `created` beside the type.
        made = {"id": self._id, "created": int(time.time())}
        await self._send({"type": "session.created", "session": session, **made})
        while True:
            text = await self._receive()
            message: Message = {}
            try:
                message = parsed(text)
                await self._take(message)
            except RefusalError as refusal:
                if refusal.code not in GOES_ON:
                    raise
                await self._complain(refusal, message)
            except EdgestreamError as error:
                await self._complain(bad(str(error)), message)

    async def end(self, refusal: RefusalError) -> None:
        """Says why, if somebody still listens, and closes."""
        try:
            await self._stream.fail(_error(refusal))
            await self._complain(refusal, {})
            with anyio.move_on_after(CLOSE_S):
                await self._socket.close(refusal.close_code)
        except (RuntimeError, WebSocketDisconnect, RefusalError):
            pass

    def close(self) -> None:
        """Lets go of the stream."""
        self._stream.close()

    async def _take(self, message: Message) -> None:
        kind = message["type"]
        if kind == f"{BUFFER}.append":
            await self._append(message)
        elif kind == f"{BUFFER}.commit":
            await self._commit(message)
        elif kind == f"{BUFFER}.clear":
            await self._stream.clear()
            self._decoder = self._config.decoder()
            await self._send({"type": f"{BUFFER}.cleared"})
        elif kind == "session.update":
            await self._update(message)
        else:
            raise bad(
                f"type {kind!r:.60} is not known here; send session.update,"
                f" {BUFFER}.append, commit or clear"
            )

    async def _append(self, message: Message) -> None:
        audio = field(message, "audio", is_text, "sound in base64")
        try:
            data = base64.b64decode(audio, validate=True)
        except ValueError:
            raise RefusalError("bad-request", "audio: is not base64", "audio") from None
        if data:
            await self._stream.open(self._asked(self._config), self._config.rate_hz)
            await self._stream.push(self._decoder, data)

    async def _commit(self, message: Message) -> None:
        if "final" in message and not self._vllm:
            await self._speak_vllm(None)
        if self._vllm:
            if not field(message, "final", is_truth, "true or false", False):
                return  # sound follows
        elif self._stream.held_s < LEAST_S:
            raise RefusalError(
                "bad-request",
                f"Error committing input audio buffer: buffer too small. Expected at least"
                f" {1000 * LEAST_S:.0f}ms of audio, but buffer only has"
                f" {1000 * self._stream.held_s:.2f}ms of audio.",
            )
        self._decoder = self._config.decoder()  # half a sample is of no use to the next item
        await self._stream.commit()

    async def _update(self, message: Message) -> None:
        if "session" not in message and "model" in message:
            await self._speak_vllm(field(message, "model", is_text, "a name"))
            return
        session = message.get("session")
        if not isinstance(session, dict):
            raise RefusalError("bad-request", "session: give an object", "session")
        await self._configure(self._config.updated(session))
        await self._send({"type": "session.updated", "session": self._config.effective(self._id)})

    async def _speak_vllm(self, model: str | None) -> None:
        """From here on this client is one of vLLM's: PCM at 16 kHz, its own ends, its words."""
        await self._configure(self._config.of_vllm(model), VllmTurns())
        self._vllm = True

    async def _configure(self, config: RealtimeConfig, turns: Turns | None = None) -> None:
        """Raises an EdgestreamError, and all stays as it was, if no model can do this."""
        self._asked(config)
        before, self._config = self._config, config
        if config.hears_alike == before.hears_alike and turns is None:
            return
        await self._stream.pause()
        self._decoder = config.decoder()
        held = config.turn_detection is None
        if turns is None and held != (before.turn_detection is None):
            turns = HeldTurns() if held else VadTurns()
        if turns is not None:
            await self._stream.take_turns(turns)

    def _asked(self, config: RealtimeConfig) -> Asked:
        return config.asked(self._pool.models, self._pool.limits)

    async def _receive(self) -> str:
        """The next text; empty for what is none."""
        receiving = asyncio.ensure_future(self._socket.receive())
        awaited: list[asyncio.Future[Any]] = [receiving]
        if self._stream.following is not None:
            awaited.append(self._stream.following)
        limit_s = self._pool.limits.idle_s
        try:
            await asyncio.wait(awaited, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if not receiving.done():
                self._stream.check()
                raise RefusalError("idle", f"nothing came for {limit_s:.0f} s; connect again")
        finally:
            receiving.cancel()
        message = receiving.result()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        return message.get("text") or ""

    async def _complain(self, refusal: RefusalError, message: Message) -> None:
        self._pool.metrics.refused(refusal.code)
        if self._vllm:
            await self._send({"type": "error", "error": str(refusal), "code": refusal.code})
            return
        cause = message.get("event_id")
        error = _error(refusal) | {"event_id": cause if is_text(cause) else None}
        await self._send({"type": "error", "error": error})

    async def _send(self, message: Message) -> None:
        # In ASCII: half a pair of surrogates, which a client may have sent, has no bytes in UTF-8.
        text = json.dumps({"event_id": new_id("event"), **message})
        async with self._sending:
            await sent(self._socket.send_text(text), self._pool)


def _error(refusal: RefusalError) -> Message:
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    return {"type": kind, "code": refusal.code, "message": str(refusal), "param": refusal.param}
