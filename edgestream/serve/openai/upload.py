# SPDX-License-Identifier: Apache-2.0
"""An uploaded recording with its fields: `multipart/form-data`, read as a stream with limits.

The recording lies in a temporary file that has no name. What the client calls it is never used.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from edgestream.serve.refusal import RefusalError

MOST_FIELDS = 64
FIELD_BYTES = 64 << 10
FORM = "multipart/form-data"
FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("word", "segment")
TRUTHS = {"true": True, "1": True, "false": False, "0": False, "": False}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client wants of its recording."""

    model: str | None
    language: str | None
    prompt: str | None
    keywords: tuple[str, ...]
    response_format: str
    granularities: frozenset[str]
    stream: bool


async def read_upload(request: Request) -> tuple[Wish, BinaryIO]:
    """The wish and the recording, which the caller closes.

    Raises RefusalError: the form is none, or a field cannot be used.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise RefusalError("bad-request", f"send the recording as {FORM}, with the field file")
    try:
        async with request.form(
            max_files=1, max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES
        ) as form:
            wish = _wish(form)
            return wish, _recording(form)
    except HTTPException as error:  # starlette's, of a damaged form
        raise RefusalError("bad-request", f"the form cannot be read: {error.detail}") from None


def _recording(form: FormData) -> BinaryIO:
    found = form.get("file")
    if not isinstance(found, UploadFile):
        raise RefusalError("bad-request", "file: the recording is missing", "file")
    return os.fdopen(os.dup(found.file.fileno()), "rb")  # starlette closes its own


def _wish(form: FormData) -> Wish:
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):  # timestamp_granularities[] is timestamp_granularities
            fields.setdefault(name.removesuffix("[]"), []).append(value)

    def last(name: str) -> str | None:
        return fields[name][-1] if name in fields else None

    stream = (last("stream") or "").lower()
    if stream not in TRUTHS:
        raise RefusalError("bad-request", "stream: give true or false", "stream")
    languages = fields.get("languages", [])
    return Wish(
        model=last("model"),
        language=last("language") or (languages[0] if len(languages) == 1 else None),
        prompt=last("prompt"),
        keywords=tuple(fields.get("keywords", [])),
        response_format=_format(last("response_format") or FORMATS[0]),
        granularities=_granularities(fields.get("timestamp_granularities", [])),
        stream=TRUTHS[stream],
    )


def _format(name: str) -> str:
    if name == "diarized_json":
        why = "who speaks is not told apart here; take verbose_json"
    elif name not in FORMATS:
        why = f"{name!r:.40} is not known; take {', '.join(FORMATS)}"
    else:
        return name
    raise RefusalError("bad-request", f"response_format: {why}", "response_format")


def _granularities(names: list[str]) -> frozenset[str]:
    for name in names:
        if name not in GRANULARITIES:
            raise RefusalError(
                "bad-request",
                f"timestamp_granularities: {name!r:.40} is not known; take word or segment",
                "timestamp_granularities",
            )
    return frozenset(names or ["segment"])
