# SPDX-License-Identifier: Apache-2.0
"""A web service that captions what its clients send: a FastAPI app.

    pip install fastapi uvicorn websockets
    uvicorn web_captions:app

A client opens ws://127.0.0.1:8000/captions?rate_hz=16000, sends 16-bit samples (mono, little
endian) in binary messages of any length, and the text "end" behind the last. It gets a JSON object
for each event. One copy of the model serves all clients.
"""

import asyncio
import dataclasses
from contextlib import asynccontextmanager

import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

import edgestream as es

MAX_STREAMS = 4  # as many as this machine can compute at once; `edgestream bench listen` says
TOO_BUSY, WRONG_DATA = 1013, 1007  # reasons to close a web socket


@asynccontextmanager
async def lifespan(app):
    app.state.model = await asyncio.to_thread(es.load)  # takes a second
    app.state.free = asyncio.Semaphore(MAX_STREAMS)
    yield


app = FastAPI(lifespan=lifespan)


@app.websocket("/captions")
async def captions(socket: WebSocket, rate_hz: int = 16000):
    await socket.accept()
    if app.state.free.locked():
        await socket.close(TOO_BUSY, "all streams are taken; try again later")
        return
    async with app.state.free:
        try:
            await caption(socket, rate_hz)
        except (es.EdgestreamError, ValueError) as error:  # a rate that no sound has, half a sample
            await socket.close(WRONG_DATA, str(error)[:120])
        except WebSocketDisconnect:
            pass  # the client is gone, and its stream with it


async def caption(socket, rate_hz):
    async with app.state.model.open_stream(rate_hz=rate_hz, keep_up=True) as stream:
        sender = asyncio.create_task(send(socket, stream))
        try:
            while (message := await socket.receive()).get("bytes") is not None:
                await stream.push(samples(message["bytes"]))  # waits if the client is too fast
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            stream.finish()
            await sender
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
    await socket.close()


async def send(socket, stream):
    async for event in stream:
        await socket.send_json({"type": type(event).__name__, **dataclasses.asdict(event)})


def samples(data):
    """Bytes of 16-bit samples as floats from -1 to 1."""
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768
