# SPDX-License-Identifier: Apache-2.0
"""Wyoming's events out of a stream of bytes, with limits: the package has none.

A line of JSON says how many bytes of JSON and of sound follow. All three lengths are checked
before anything of them is read.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from wyoming.event import Event

from edgestream.serve.refusal import RefusalError

HEADER_BYTES = 16 << 10  # of the line
DATA_BYTES = 64 << 10  # of the JSON behind it
PAYLOAD_BYTES = 1 << 20  # of sound: several seconds


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event; None where the stream ends. `reader` has the limit HEADER_BYTES.

    Raises RefusalError for what is no event, or too long.
    """
    try:
        header = _object(await reader.readuntil(b"\n"), "the line")
        kind = header.get("type")
        if not isinstance(kind, str):
            raise RefusalError("bad-request", "an event must have a type")
        n_data = _length(header, "data_length", DATA_BYTES)
        n_payload = _length(header, "payload_length", PAYLOAD_BYTES)
        data = header.get("data") or {}
        if not isinstance(data, dict):
            raise RefusalError("bad-request", "data must be a JSON object")
        if n_data:
            data = {**data, **_object(await reader.readexactly(n_data), "data")}
        payload = await reader.readexactly(n_payload) if n_payload else None
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise RefusalError("too-long", f"a line of more than {HEADER_BYTES} bytes") from None
    return Event(kind, data, payload)


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RefusalError("bad-request", f"{what} must be a JSON object")
    return found


def _length(header: dict[str, Any], name: str, most: int) -> int:
    length = header.get(name)
    if length is None:
        return 0
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise RefusalError("bad-request", f"{name} must be a number of bytes")
    if length > most:
        raise RefusalError("too-long", f"{name}: at most {most} bytes; send it in parts")
    return length
