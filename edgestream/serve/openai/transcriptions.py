# SPDX-License-Identifier: Apache-2.0
"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`, as OpenAI has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from edgestream.errors import UsageError
from edgestream.events import Draft
from edgestream.serve.asked import Asked, asked
from edgestream.serve.guard import error_body
from edgestream.serve.openai.answers import StreamedAnswer, answer, message
from edgestream.serve.openai.connected import ClientGoneError, EventStream, while_connected
from edgestream.serve.openai.model_names import ours
from edgestream.serve.openai.recording import Recording
from edgestream.serve.openai.upload import Wish, read_upload
from edgestream.serve.pool import Pool
from edgestream.serve.refusal import RefusalError

GONE = Response(status_code=499)  # nobody reads it


async def transcriptions(request: Request) -> Response:
    """What is said, in the language in which it is said."""
    return await _captioned(request, "transcribe")


async def translations(request: Request) -> Response:
    """What is said, in English."""
    return await _captioned(request, "translate")


async def _captioned(request: Request, task: str) -> Response:
    pool: Pool = request.app.state.pool
    pool.check_room(pool.models.default, live=False)  # before the body is read
    try:
        with pool.reading_upload():
            wish, handle = await read_upload(request)
    except ClientDisconnect:
        return GONE
    recording = Recording(pool, handle)
    try:
        wanted = _asked(pool, wish, task)
        await recording.open(wanted)
        if wish.stream:
            pieces = _streamed(recording, pool)
            return EventStream(pieces, send_s=pool.limits.send_s, on_end=recording.close)
        whole = await while_connected(request.receive, _whole(recording, wish, wanted, task))
    except ClientGoneError:
        whole = GONE
    except BaseException:
        recording.close()
        raise
    recording.close()
    return whole


def _asked(pool: Pool, wish: Wish, task: str) -> Asked:
    try:
        return asked(
            pool.models,
            pool.limits,
            model=ours(pool.models, wish.model),
            language=wish.language if task == "transcribe" else None,
            task=task,
            prompt=wish.prompt,
            keywords=wish.keywords,
        )
    except RefusalError:
        raise
    except UsageError as error:
        raise RefusalError("bad-request", str(error), "model") from None


async def _whole(recording: Recording, wish: Wish, wanted: Asked, task: str) -> Response:
    events = [event async for event in recording.events() if not isinstance(event, Draft)]
    language = "en" if task == "translate" else wanted.language or "und"
    about: dict[str, Any] = {"task": task, "language": language}
    return answer(wish, events, about, recording.heard_s)


async def _streamed(recording: Recording, pool: Pool) -> AsyncGenerator[str, None]:
    told = StreamedAnswer()
    try:
        async for event in recording.events():
            if piece := told.push(event):
                yield piece
        yield told.finish(recording.heard_s)
    except RefusalError as refusal:
        pool.metrics.refused(refusal.code)
        yield message(error_body(refusal))
