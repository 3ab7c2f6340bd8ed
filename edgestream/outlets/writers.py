# SPDX-License-Identifier: Apache-2.0
"""Events to captions in a file or on stdout, as they come, so that a crash loses none of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

from edgestream.captions.shown_text import printable
from edgestream.errors import UsageError
from edgestream.events import (
    Answer,
    Comment,
    Draft,
    Event,
    Final,
    Gap,
    Translation,
    TranslationDraft,
)
from edgestream.outlets.asides import aside_line
from edgestream.outlets.comment_cues import CommentCutter
from edgestream.outlets.cues import Cue, CueCutter
from edgestream.outlets.formats import ORIGINAL, Format
from edgestream.outlets.output_file import Sink
from edgestream.outlets.records import json_line
from edgestream.outlets.time_of_day import happened
from edgestream.outlets.translated_cues import BothCutter
from edgestream.outlets.written_text import WrittenText

BOTH, TRANSLATION = "both", "translation"
SRT_LIKES = str.maketrans("<>{}", "\u2039\u203a()")  # of `<b>` and `{\\an8}`


class Pieces(Protocol):
    """Where text goes, piece by piece: a Sink, or a text in memory."""

    @property
    def amends(self) -> bool: ...

    def write(self, text: str) -> None: ...

    def amend(self, n_last_bytes: int, text: str) -> None: ...

    def close(self, *, begin: bool = True) -> None: ...


class Writer(Protocol):
    """`push` and `finish` raise OutputError (disk full, closed) and BrokenPipeError (`| head`).

    An old file is replaced when there is something to write, or by `finish`: `abandon`, for a run
    that failed, leaves it if nothing was written.
    """

    def push(self, event: Event) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class TextWriter:
    """One line of text for each Final and each Answer; a Comment's begins with when it happened,
    and of a model that reads along with what it is, as `fr> Il est tard.`"""

    def __init__(self, sink: Pieces) -> None:
        self._sink = sink

    def push(self, event: Event) -> None:
        if isinstance(event, Answer):
            self._sink.write(printable(f"{event.question} {event.text}") + "\n")
        if isinstance(event, Final) and (text := printable(event.text)):
            when = f"{happened(event)}  " if isinstance(event, Comment) else ""
            self._sink.write(f"{when}{text}\n")
        if aside := aside_line(event):
            self._sink.write("> ".join(aside) + "\n")

    def finish(self) -> None:
        self._sink.close()

    def abandon(self) -> None:
        self._sink.close(begin=False)


class JsonlWriter:
    """One JSON object a line for each event, for what may still change with `drafts` only."""

    def __init__(self, sink: Pieces, *, drafts: bool = False) -> None:
        self._sink = sink
        self._drafts = drafts

    def push(self, event: Event) -> None:
        if self._drafts or not isinstance(event, (Draft, TranslationDraft)):
            self._sink.write(json_line(event) + "\n")

    def finish(self) -> None:
        self._sink.close()

    def abandon(self) -> None:
        self._sink.close(begin=False)


class CueWriter:
    """Cues as they come. In a file the end of the newest is set anew, in place, where somebody
    speaks on, the next comment comes or input is lost before it is read. Elsewhere the next line of
    speech waits, and a comment does not: it is shown beside the one before (see CommentCutter).
    With `both` its cues are written instead, as they come."""

    POINT = "."  # before milliseconds

    def __init__(self, sink: Pieces, both: BothCutter | None = None) -> None:
        self._both = both
        self._sink = sink
        self._cutter = CueCutter()
        self._comments = CommentCutter()
        self._n_cues = 0
        self._end_ms = 0  # of the newest one
        self._text = ""  # of the newest cue, from its end time on

    def push(self, event: Event) -> None:
        amends = self._sink.amends
        if self._both is not None:
            self._write(self._both.push(event))
        elif isinstance(event, Comment):
            if cue := self._comments.push(event, rolling=amends):
                if amends and cue.start_ms < self._end_ms:
                    self._end_at(cue.start_ms)
                self._sink.write(self._cue(cue))
        elif isinstance(event, (Final, Gap)):
            if amends and (end_ms := self._cutter.end_before(event.start_ms)) is not None:
                self._end_at(end_ms)
            if isinstance(event, Final):
                self._write(self._cutter.push(event))

    def finish(self) -> None:
        self._end()
        self._sink.close()

    def abandon(self) -> None:
        self._end()
        self._sink.close(begin=False)

    def _end(self) -> None:
        if self._both is not None:
            self._write(self._both.finish())

    def _write(self, cues: list[Cue]) -> None:
        if cues:
            self._sink.write("".join(self._cue(cue) for cue in cues))

    def _end_at(self, end_ms: int) -> None:
        """Sets the end of the newest cue anew."""
        self._sink.amend(len(self._text.encode("utf-8", "replace")), self._clock(end_ms))

    def _cue(self, cue: Cue) -> str:
        self._n_cues += 1
        text = "\n".join(self._escaped(line) for line in cue.lines)
        self._end_ms = cue.end_ms
        self._text = f"{self._clock(cue.end_ms)}\n{text}\n\n"
        return f"{self._number()}{self._clock(cue.start_ms)} --> {self._text}"

    def _number(self) -> str:
        return ""

    def _escaped(self, line: str) -> str:
        raise NotImplementedError

    def _clock(self, time_ms: int) -> str:
        seconds, ms = divmod(time_ms, 1000)
        minutes, s = divmod(seconds, 60)
        h, m = divmod(minutes, 60)
        return f"{h:02}:{m:02}:{s:02}{self.POINT}{ms:03}"


class SrtWriter(CueWriter):
    """SubRip cues."""

    POINT = ","

    def _number(self) -> str:
        return f"{self._n_cues}\n"

    def _escaped(self, line: str) -> str:
        """SubRip has no escapes: what players take for a command is shown by its like."""
        return line.replace("-->", "→").translate(SRT_LIKES)


class VttWriter(CueWriter):
    """WebVTT cues after the sink's head."""

    def _escaped(self, line: str) -> str:
        for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            line = line.replace(mark, entity)
        return line


class TranslationWriter:
    """Gives a writer of cues the lines of the translation in place of those that were said."""

    def __init__(self, writer: CueWriter) -> None:
        self._writer = writer

    def push(self, event: Event) -> None:
        if isinstance(event, Translation):
            self._writer.push(Final(event.text, (), event.start_ms, event.end_ms))
        elif not isinstance(event, Final):
            self._writer.push(event)

    def finish(self) -> None:
        self._writer.finish()

    def abandon(self) -> None:
        self._writer.abandon()


def open_writer(
    format_name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    drafts: bool = False,
    subtitles: str = ORIGINAL,
    patient: bool = False,
) -> Writer:
    """The writer of a Format, by its name, into the file `path` (see Writer), or stdout.

    `subtitles`: whose words a cue has: `original`, `translation` or `both`. `patient`: words wait
    for their translation for as long as it takes.

    Raises UsageError for an unknown format, OutputError when the file cannot be written.
    """
    known = [form.value for form in Format]
    if format_name not in known:
        raise UsageError(f"format '{format_name}' is not known; use {', '.join(known)}")
    sink = Sink(path, head=_head(format_name))
    return _writer(format_name, sink, drafts=drafts, subtitles=subtitles, patient=patient)


def written(format_name: str, events: Iterable[Event]) -> str:
    """All of the events as the text that a file of this Format would hold."""
    text = WrittenText(head=_head(format_name))
    writer = _writer(format_name, text)
    for event in events:
        writer.push(event)
    writer.finish()
    return text.text


def _head(format_name: str) -> str:
    return "WEBVTT\n\n" if format_name == "vtt" else ""


def _writer(
    format_name: str,
    sink: Pieces,
    *,
    drafts: bool = False,
    subtitles: str = ORIGINAL,
    patient: bool = False,
) -> Writer:
    if format_name == "jsonl":
        return JsonlWriter(sink, drafts=drafts)
    if format_name == "text":
        return TextWriter(sink)
    cues = SrtWriter if format_name == "srt" else VttWriter
    writer = cues(sink, BothCutter(patient=patient) if subtitles == BOTH else None)
    return TranslationWriter(writer) if subtitles == TRANSLATION else writer
