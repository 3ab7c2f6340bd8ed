# SPDX-License-Identifier: Apache-2.0
"""Captions of all sessions as files in a folder, if the server is asked to keep them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from edgestream.errors import OutputError
from edgestream.events import Event, Final
from edgestream.outlets.writers import Writer, open_writer
from edgestream.serve.logs import log

SUFFIX = ".jsonl"


class Transcripts:
    """A folder with a JSONL file for each session; or none, if only the log tells of lines."""

    def __init__(self, folder: Path | None, *, log_text: bool) -> None:
        """Makes the folder. Raises OutputError where that cannot be."""
        self._folder, self._log_text = folder, log_text
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


class Transcript:
    """Of one session. What cannot be written harms no session: it is logged, and the rest of this
    file is tried again with the next line."""

    def __init__(self, path: Path | None, name: str, *, log_text: bool) -> None:
        self._path, self._name, self._log_text = path, name, log_text
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._unwritten: list[Event] = []
        self._closed = False

    def push(self, events: list[Event]) -> None:
        """Keeps what is final."""
        if self._log_text:
            for event in events:
                if isinstance(event, Final):
                    log("final", transcript=self._name, text=event.text)
        if self._path is not None:
            with self._lock:
                self._unwritten += events
                self._write(self._path)

    def finish(self) -> None:
        """The end of the session. May be repeated."""
        with self._lock:
            if self._path is None or self._closed:
                return
            self._closed = True
            self._write(self._path)
            if self._writer is not None:
                self._guarded(self._writer.finish)

    def _write(self, path: Path) -> None:
        while self._unwritten and self._guarded(lambda: self._put(path)):
            del self._unwritten[0]

    def _put(self, path: Path) -> None:
        if self._writer is None:
            self._writer = open_writer("jsonl", path)
        self._writer.push(self._unwritten[0])

    def _guarded(self, write: Callable[[], None]) -> bool:
        """Whether it could be written."""
        try:
            write()
        except (OutputError, OSError) as error:
            log("a transcript cannot be written", transcript=self._name, why=str(error),
                waiting=len(self._unwritten))  # fmt: skip
            return False
        return True
