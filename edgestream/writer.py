# SPDX-License-Identifier: Apache-2.0
"""Events to captions in a file or on stdout, as they come, so that a crash loses none of them."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any, Protocol

from edgestream.cues import Cue, CueCutter
from edgestream.errors import OutputError, UsageError
from edgestream.events import Answer, Draft, Event, Final, Gap
from edgestream.shown_text import filtered, printable

SYNC_INTERVAL_S = 1.0  # a power cut may cost the captions of this long; a crash costs none
PAGE_BYTES = 4096  # of the smallest page cache in use; larger ones end at its multiples
SRT_LIKES = str.maketrans("<>{}", "\u2039\u203a()")  # of `<b>` and `{\\an8}`
FILE_MODE = 0o666  # less the umask, as for any other file


class Writer(Protocol):
    """`push` and `finish` raise OutputError (disk full, closed) and BrokenPipeError (`| head`)."""

    def push(self, event: Event) -> None: ...

    def finish(self) -> None: ...


class Sink:
    """Bytes to a file (truncated when opened) or, without a path, to stdout.

    Each piece, which ends with a newline or two, is handed to the system in one call and kept
    within a page of the file, so that after `kill -9` the file ends with a whole piece (if it is
    no longer than a page); one that fails half way (disk full) is taken back.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._name = "stdout" if path is None else os.fspath(path)
        self._owned = path is not None
        self._fd = _stdout_fd() if path is None else _create(Path(path))
        # What stdout is redirected to may be shared with other writers: never cut that back.
        self._regular = self._owned and stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._good_bytes = 0  # length of the file that is whole pieces
        self._ending = b""  # the newlines after the last one
        self._synced_s = time.monotonic()

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        try:
            if self._regular:
                self._start_page_for(len(data))
            self._write_all(data)
            self._good_bytes += len(data)
            self._ending = data[len(data.rstrip(b"\n")) :]
            self._sync_now_and_then()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._take_back()
            raise self._error(error) from None

    @property
    def amends(self) -> bool:
        """Whether what was written can be changed."""
        return self._regular

    def amend(self, n_last_bytes: int, text: str) -> None:
        """Writes over what stands that far before the end; the text is no longer than that."""
        try:
            os.lseek(self._fd, self._good_bytes - n_last_bytes, os.SEEK_SET)
            self._write_all(text.encode("utf-8", "replace"))
            os.lseek(self._fd, self._good_bytes, os.SEEK_SET)
        except OSError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Make a file's bytes durable and let go of it; stdout stays open. May be repeated."""
        if not self._owned or self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            if self._regular:
                os.fsync(fd)
        except OSError as error:
            raise self._error(error) from None
        finally:
            os.close(fd)

    def _write_all(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def _sync_now_and_then(self) -> None:
        now_s = time.monotonic()
        if self._regular and now_s - self._synced_s >= SYNC_INTERVAL_S:
            os.fsync(self._fd)
            self._synced_s = now_s

    def _start_page_for(self, n_bytes: int) -> None:
        """Fill the page with spaces after the last piece if the next would cross its end.

        The system looks for a deadly signal between two pages, and then writes half of a piece.
        """
        room_bytes = -self._good_bytes % PAGE_BYTES
        if room_bytes < n_bytes <= PAGE_BYTES and self._good_bytes > 0:
            os.lseek(self._fd, self._good_bytes - len(self._ending), os.SEEK_SET)
            self._write_all(b" " * room_bytes + self._ending)
            self._good_bytes += room_bytes

    def _take_back(self) -> None:
        if self._regular:
            os.ftruncate(self._fd, self._good_bytes)
            os.lseek(self._fd, self._good_bytes, os.SEEK_SET)

    def _error(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._name}: captions cannot be written: {error.strerror}; "
            "free some space or choose another place with --output"
        )


def _create(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, FILE_MODE)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror}; choose another --output"
        ) from None


def _stdout_fd() -> int:
    try:
        sys.stdout.flush()
        return sys.stdout.fileno()
    except (AttributeError, ValueError, OSError):
        raise OutputError("stdout is closed; write the captions with --output FILE") from None


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


class JsonlWriter:
    """One JSON object a line for each event, for each Draft with `drafts` only."""

    def __init__(self, sink: Sink, *, drafts: bool = False) -> None:
        self._sink = sink
        self._drafts = drafts

    def push(self, event: Event) -> None:
        if self._drafts or not isinstance(event, Draft):
            record = _shown(_record(event))
            self._sink.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def finish(self) -> None:
        self._sink.close()


class CueWriter:
    """Cues as they come. In a file the end of the newest is set anew, in place, where somebody
    speaks on or input is lost before it is read; elsewhere the next one waits."""

    POINT = "."  # before milliseconds
    HEADER = ""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._cutter = CueCutter()
        self._n_cues = 0
        self._text = ""  # of the newest cue, from its end time on
        if self.HEADER:
            sink.write(self.HEADER)

    def push(self, event: Event) -> None:
        if not isinstance(event, (Final, Gap)):
            return
        if self._sink.amends and (end_ms := self._cutter.end_before(event.start_ms)) is not None:
            self._sink.amend(len(self._text.encode("utf-8", "replace")), self._clock(end_ms))
        if isinstance(event, Final) and (cues := self._cutter.push(event)):
            self._sink.write("".join(self._cue(cue) for cue in cues))

    def finish(self) -> None:
        self._sink.close()

    def _cue(self, cue: Cue) -> str:
        self._n_cues += 1
        text = "\n".join(self._escaped(line) for line in cue.lines)
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
    """WebVTT cues after the header."""

    HEADER = "WEBVTT\n\n"

    def _escaped(self, line: str) -> str:
        for mark, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            line = line.replace(mark, entity)
        return line


FORMATS = ("text", "jsonl", "srt", "vtt")


def open_writer(
    format_name: str, path: str | os.PathLike[str] | None = None, *, drafts: bool = False
) -> Writer:
    """The writer of one of FORMATS into the file `path` (replaced if it exists), or stdout.

    Raises UsageError for an unknown format, OutputError when the file cannot be written.
    """
    if format_name not in FORMATS:
        raise UsageError(f"format '{format_name}' is not known; use {', '.join(FORMATS)}")
    sink = Sink(path)
    if format_name == "jsonl":
        return JsonlWriter(sink, drafts=drafts)
    if format_name == "srt":
        return SrtWriter(sink)
    return VttWriter(sink) if format_name == "vtt" else TextWriter(sink)


def _record(event: Event) -> dict[str, Any]:
    name = "final" if isinstance(event, Final) else type(event).__name__.lower()
    return {"type": name, **dataclasses.asdict(event)}


def _shown(value: Any) -> Any:
    """Times to a tenth of a millisecond: finer digits are noise. Text as it may be shown."""
    if isinstance(value, float):
        return round(value, 1)
    if isinstance(value, str):
        return filtered(value)
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return [_shown(item) for item in value] if isinstance(value, (list, tuple)) else value
