# SPDX-License-Identifier: Apache-2.0
"""Captions of all sessions as files in a folder, if the server is asked to keep them."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from edgestream.errors import OutputError
from edgestream.events import Draft, Event, Final
from edgestream.outlets.writers import Writer, open_writer
from edgestream.serve.logs import log

SUFFIX = ".jsonl"
MOST_WAITING = 10_000  # lines of one session that wait for room on the disk: hours of speech
MOST_ENDED = 64  # sessions that have ended and still wait for it


class Transcripts:
    """A folder with a JSONL file for each session; or none, if only the log tells of lines.

    Lines that find no room on the disk wait for it, also behind the end of their session: see
    `try_again`.
    """

    def __init__(self, folder: Path | None, *, log_text: bool) -> None:
        """Makes the folder. Raises OutputError where that cannot be."""
        self._folder, self._log_text = folder, log_text
        self._lock = threading.Lock()  # sessions end on many threads
        self._waiting: list[Transcript] = []  # of sessions that have ended
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(
                    f"{folder}: cannot be made: {error.strerror}; choose another --transcripts"
                ) from None

    def begin(self) -> Transcript:
        """That of a new session, named by the time and some letters that no one can guess."""
        name = f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(4)}"
        path = self._folder / (name + SUFFIX) if self._folder else None
        return Transcript(path, name, log_text=self._log_text)

    def finish(self, transcript: Transcript) -> None:
        """Nothing more of its session comes."""
        if not transcript.finish():
            with self._lock:
                self._waiting = [*self._waiting, transcript][-MOST_ENDED:]

    def try_again(self) -> None:
        """Those that could not be finished."""
        with self._lock:
            self._waiting = [each for each in self._waiting if not each.finish()]

    def close(self) -> None:
        """The server ends: the last try."""
        self.try_again()
        for each in self._waiting:
            log("a transcript was not written whole", transcript=each.name,
                lines_lost=each.n_unwritten)  # fmt: skip


class Transcript:
    """Of one session. What cannot be written harms no session: the log says it once, and it is
    tried again with the next line."""

    def __init__(self, path: Path | None, name: str, *, log_text: bool) -> None:
        self._path, self.name, self._log_text = path, name, log_text
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._unwritten: deque[Event] = deque()
        self._n_dropped = 0  # for which there was no room here either
        self._troubled = False  # and the log knows it
        self._closed = False

    @property
    def n_unwritten(self) -> int:
        """Lines that wait, or found no room to wait."""
        return len(self._unwritten) + self._n_dropped

    def push(self, events: list[Event]) -> None:
        """Keeps what is final."""
        lasting = [event for event in events if not isinstance(event, Draft)]
        if self._log_text:
            for event in lasting:
                if isinstance(event, Final):
                    log("final", transcript=self.name, text=event.text)
        if self._path is not None and lasting:
            with self._lock:
                self._unwritten += lasting
                while len(self._unwritten) > MOST_WAITING:
                    self._unwritten.popleft()
                    self._n_dropped += 1
                self._write(self._path)

    def finish(self) -> bool:
        """The end of the session; whether all was written. May be repeated."""
        with self._lock:
            if self._path is None or self._closed:
                return True
            self._write(self._path)
            if self._unwritten:
                return False
            self._closed = True
            if self._writer is not None:
                self._guarded(self._writer.finish)
            return True

    def _write(self, path: Path) -> None:
        while self._unwritten and self._guarded(lambda: self._put(path)):
            self._unwritten.popleft()
        if self._troubled and not self._unwritten:
            self._troubled = False
            log("a transcript is written again", transcript=self.name,
                lines_lost=self._n_dropped or None)  # fmt: skip

    def _put(self, path: Path) -> None:
        if self._writer is None:
            self._writer = open_writer("jsonl", path)
        self._writer.push(self._unwritten[0])

    def _guarded(self, write: Callable[[], None]) -> bool:
        """Whether it could be written."""
        try:
            write()
        except (OutputError, OSError) as error:
            if not self._troubled:
                self._troubled = True
                log("a transcript cannot be written", transcript=self.name, why=str(error))
            return False
        return True
