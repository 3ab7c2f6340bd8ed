# SPDX-License-Identifier: Apache-2.0
"""What readers ask for: the captions or comments of the server's own source, and its picture."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from edgestream.events import Happening, Notice
from edgestream.outlets.records import record
from edgestream.serve.live import Live
from edgestream.serve.refusal import RefusalError
from edgestream.sources.picture import Picture

STATUS_S = 1.0
JPEG_QUALITY = 80
NO_LIVE = "this server listens to nothing itself; start it with --source mic, or --watch"


async def live_events(request: Request) -> Response:
    """`/v1/live`: server-sent events, the last lines first."""
    live = _live(request)
    run, _, given = request.headers.get("last-event-id", "").rpartition("-")
    known = run == live.run and given.isascii() and given.isdigit() and len(given) < 16
    seq = int(given) if known else 0
    return StreamingResponse(
        _told(live, seq if seq <= live.log.newest else 0),
        media_type="text/event-stream",
        headers={"cache-control": "no-store"},
    )


async def picture(request: Request) -> Response:
    """`/v1/picture.jpg`: the newest picture of the camera, what is followed in boxes."""
    live = _live(request)
    newest = live.picture
    if newest is None:
        raise RefusalError("not-found", "there is no picture (yet); start it with --watch SOURCE")
    jpeg = await asyncio.to_thread(_jpeg, newest, live.seen)
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})


async def _told(live: Live, seq: int) -> AsyncIterator[str]:
    """Events as they come, and between them how it goes."""
    log = live.log
    yield _status(live)
    status_s = time.monotonic() + STATUS_S  # when the next one is due
    while True:
        news = log.news
        if seq and not log.has_all_after(seq):  # away, or too slow, for more than is kept
            missed = Notice(live.heard_ms, "some lines came while you were away, and are not kept")
            yield f"event: notice\ndata: {json.dumps(record(missed))}\n\n"
        found = log.after(seq)
        for number, event in found:
            seq = number
            yield _message(live.run, number, record(event))
        if time.monotonic() >= status_s:
            status_s = time.monotonic() + STATUS_S
            yield _status(live)
        if found:
            continue
        if log.complete:  # said, or it would look like a lost connection
            yield "event: done\ndata: {}\n\n"
            return
        with anyio.move_on_after(status_s - time.monotonic()):
            await news.wait()


def _status(live: Live) -> str:
    return f"event: status\ndata: {json.dumps(live.status())}\n\n"


def _message(run: str, seq: int, fields: dict[str, Any]) -> str:
    data = json.dumps({"seq": seq, **fields}, ensure_ascii=False)
    return f"id: {run}-{seq}\nevent: {fields['type']}\ndata: {data}\n\n"


def _live(request: Request) -> Live:
    live: Live | None = request.app.state.live
    if live is None:
        raise RefusalError("not-found", NO_LIVE)
    return live


def _jpeg(newest: Picture, seen: Any) -> bytes:
    from edgestream.outlets.snapshots import boxed
    from edgestream.system.opencv import cv2

    rgb = newest.rgb
    for each in seen:
        box = Happening(
            "seen", track=each.track, label=each.label, colour=each.colour, box=each.box
        )
        rgb = boxed(rgb, box)
    ok, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(data) if ok else b""
