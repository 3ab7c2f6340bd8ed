# SPDX-License-Identifier: Apache-2.0
"""Captions of a recording in the forms that OpenAI's clients ask for."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from edgestream.captions.shown_text import printable
from edgestream.events import Event, Final
from edgestream.outlets.writers import written
from edgestream.serve.openai.upload import Wish
from edgestream.serve.told_text import ToldText, joined, separator

DIGITS = 3  # of seconds, behind the point


def answer(wish: Wish, events: Sequence[Event], about: dict[str, Any], heard_s: float) -> Response:
    """The whole recording; `about` are the task and the language."""
    finals = [event for event in events if isinstance(event, Final)]
    text = joined(printable(final.text) for final in finals)
    if wish.response_format == "text":
        return PlainTextResponse(text + "\n")
    if wish.response_format in ("srt", "vtt"):
        return PlainTextResponse(written(wish.response_format, events))
    if wish.response_format == "json":
        return JSONResponse({"text": text, "usage": usage(heard_s)})
    details: dict[str, Any] = {**about, "duration": round(heard_s, DIGITS), "text": text}
    if "segment" in wish.granularities:
        details["segments"] = [segment(n, final) for n, final in enumerate(finals)]
    if "word" in wish.granularities:
        details["words"] = [word for final in finals for word in words(final)]
    return JSONResponse({**details, "usage": usage(heard_s)})


def usage(heard_s: float) -> dict[str, Any]:
    """What was heard, as OpenAI reckons it."""
    return {"type": "duration", "seconds": round(heard_s, DIGITS)}


def segment(n: int, final: Final) -> dict[str, Any]:
    """A line. `seek` is where it begins, in frames of 10 ms. Neither the probabilities nor the
    tokens of a line are kept: 0, and none. `compression_ratio` as in Whisper: bytes of the text
    over those of its zlib form."""
    text = printable(final.text)
    data = text.encode()
    return {
        "id": n,
        "seek": round(final.start_ms / 10),
        "start": seconds(final.start_ms),
        "end": seconds(final.end_ms),
        "text": separator(".", text) + text,  # joined, the segments are the text, as Whisper's
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": round(len(data) / len(zlib.compress(data)), DIGITS),
        "no_speech_prob": 0.0,
    }


def words(final: Final) -> Iterator[dict[str, Any]]:
    """The words of a line, in seconds."""
    for word in final.words:
        if text := printable(word.text):
            yield {"word": text, "start": seconds(word.start_ms), "end": seconds(word.end_ms)}


def seconds(time_ms: float) -> float:
    """Of milliseconds."""
    return round(time_ms / 1000, DIGITS)


class StreamedAnswer:
    """The same as server-sent events: what is final as soon as it is."""

    def __init__(self) -> None:
        self._told = ToldText()

    def push(self, event: Event) -> str:
        """What to send after an event; often nothing."""
        delta = self._told.push(event)
        return message({"type": "transcript.text.delta", "delta": delta}) if delta else ""

    def finish(self, heard_s: float) -> str:
        """The end."""
        text = self._told.text
        done = {"type": "transcript.text.done", "text": text, "usage": usage(heard_s)}
        return message(done) + "data: [DONE]\n\n"


def message(fields: dict[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n"
