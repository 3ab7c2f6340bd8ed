# SPDX-License-Identifier: Apache-2.0
"""Events to captions in a file or on stdout, as they come, so that a crash loses none of them."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any, Protocol

from edgestream.cues import Cue, CueCutter, printable
from edgestream.errors import UsageError
from edgestream.events import Answer, Draft, Event, Final
from edgestream.sink import Sink


class Writer(Protocol):
    """`push` and `finish` raise OutputError (disk full, closed) and BrokenPipeError (`| head`).

    An old file is replaced when there is something to write, or by `finish`: `abandon`, for a run
    that failed, leaves it if nothing was written.
    """

    def push(self, event: Event) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class TextWriter:
    """One line of text for each Final and each Answer."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def push(self, event: Event) -> None:
        if isinstance(event, Answer):
            self._sink.write(printable(f"{event.question} {event.text}") + "\n")
        if isinstance(event, Final) and (text := printable(event.text)):
            self._sink.write(text + "\n")

    def finish(self) -> None:
        self._sink.close()

    def abandon(self) -> None:
        self._sink.close(begin=False)


class JsonlWriter:
    """One JSON object a line for each event, for each Draft with `drafts` only."""

    def __init__(self, sink: Sink, *, drafts: bool = False) -> None:
        self._sink = sink
        self._drafts = drafts

    def push(self, event: Event) -> None:
        if self._drafts or not isinstance(event, Draft):
            record = _rounded(_record(event))
            self._sink.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def finish(self) -> None:
        self._sink.close()

    def abandon(self) -> None:
        self._sink.close(begin=False)


class SrtWriter:
    """SubRip cues, only ever appended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._cutter = CueCutter()
        self._n_cues = 0

    def push(self, event: Event) -> None:
        if not isinstance(event, Final):
            return
        cues = self._cutter.push(event)
        if cues:
            self._sink.write("".join(self._numbered(cue) for cue in cues))

    def finish(self) -> None:
        self._sink.close()

    def abandon(self) -> None:
        self._sink.close(begin=False)

    def _numbered(self, cue: Cue) -> str:
        self._n_cues += 1
        # An arrow in the text would be read as a time line.
        text = "\n".join(cue.lines).replace("-->", "→")
        times = f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        return f"{self._n_cues}\n{times}\n{text}\n\n"


class VttWriter:
    """WebVTT cues after the sink's head, only ever appended."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._cutter = CueCutter()

    def push(self, event: Event) -> None:
        if not isinstance(event, Final):
            return
        cues = self._cutter.push(event)
        if cues:
            self._sink.write("".join(map(_vtt_cue, cues)))

    def finish(self) -> None:
        self._sink.close()

    def abandon(self) -> None:
        self._sink.close(begin=False)


FORMATS = ("text", "jsonl", "srt", "vtt")


def open_writer(
    format_name: str, path: str | os.PathLike[str] | None = None, *, drafts: bool = False
) -> Writer:
    """The writer of one of FORMATS into the file `path` (see Writer), or stdout.

    Raises UsageError for an unknown format, OutputError when the file cannot be written.
    """
    if format_name not in FORMATS:
        raise UsageError(f"format '{format_name}' is not known; use {', '.join(FORMATS)}")
    sink = Sink(path, head="WEBVTT\n\n" if format_name == "vtt" else "")
    if format_name == "jsonl":
        return JsonlWriter(sink, drafts=drafts)
    if format_name == "srt":
        return SrtWriter(sink)
    return VttWriter(sink) if format_name == "vtt" else TextWriter(sink)


def _record(event: Event) -> dict[str, Any]:
    name = "final" if isinstance(event, Final) else type(event).__name__.lower()
    return {"type": name, **dataclasses.asdict(event)}


def _rounded(value: Any) -> Any:
    """Times to a tenth of a millisecond: finer digits are noise."""
    if isinstance(value, float):
        return round(value, 1)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def _vtt_cue(cue: Cue) -> str:
    text = "\n".join(cue.lines)
    for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(mark, entity)
    return f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{text}\n\n"


def _clock(time_ms: int, point: str) -> str:
    seconds, ms = divmod(time_ms, 1000)
    minutes, s = divmod(seconds, 60)
    h, m = divmod(minutes, 60)
    return f"{h:02}:{m:02}:{s:02}{point}{ms:03}"
