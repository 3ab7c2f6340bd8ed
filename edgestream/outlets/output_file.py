# SPDX-License-Identifier: Apache-2.0
"""Pieces of text into a file or stdout; after a crash, a kill or a full disk all are whole."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from pathlib import Path

from edgestream.errors import OutputError

SYNC_INTERVAL_S = 1.0  # a power cut may cost the captions of this long; a crash costs none
PAGE_BYTES = 4096  # of the smallest page cache in use; larger ones end at its multiples
FILE_MODE = 0o666  # less the umask, as for any other file


class Sink:
    """Bytes to a file (truncated before the first) or, without a path, to stdout; `head` is first.

    Each piece, which ends with a newline or two, is handed to the system in one call and kept
    within a page of the file, so that after `kill -9` the file ends with a whole piece (if it is
    no longer than a page); one that fails half way (disk full) is taken back.
    """

    def __init__(self, path: str | os.PathLike[str] | None, head: str = "") -> None:
        self._path, self._head = path, head
        self._name = "stdout" if path is None else os.fspath(path)
        self._begun = self._closed = False
        # Of a file that is there already; a new one is made when it is written.
        self._fd = _stdout_fd() if path is None else _open_old(Path(path))
        self._regular = False
        self._good_bytes = 0  # length of the file that is whole pieces
        self._ending = b""  # the newlines after the last one
        self._synced_s = time.monotonic()

    def write(self, text: str) -> None:
        self._begin()
        self._write(text)

    def _begin(self) -> None:
        """Makes the file, or empties it, and writes the head."""
        if self._begun:
            return
        self._begun = True
        if self._fd < 0:
            self._fd = _open(Path(self._name), os.O_CREAT)
        # What stdout is redirected to may be shared with other writers: never cut that back.
        self._regular = self._path is not None and stat.S_ISREG(os.fstat(self._fd).st_mode)
        if self._regular:
            os.ftruncate(self._fd, 0)
        if self._head:
            self._write(self._head)

    def _write(self, text: str) -> None:
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

    def close(self, *, begin: bool = True) -> None:
        """Make a file's bytes durable and let go of it; stdout stays open. May be repeated.

        If nothing was written, the file is begun now with `begin`, and left as it was without.
        """
        if self._closed:
            return
        if begin:
            self._begin()
        self._closed = True
        if self._path is None or self._fd < 0:
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
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody who shares the pipe made it so; its reader is slow
                select.select([], [self._fd], [])

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


def _open_old(path: Path) -> int:
    """What is at `path`, as it is; -1 if nothing is, but can be made there."""
    if "\0" in str(path):
        raise OutputError(f"{path}: cannot be written: no name of a file; choose another --output")
    try:
        if os.path.exists(path):
            return _open(path, 0)
        parent = path.parent
        if not stat.S_ISDIR(os.stat(parent).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return -1
    except OSError as error:
        raise _refusal(path, error) from None


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, os.O_WRONLY | flags | getattr(os, "O_BINARY", 0), FILE_MODE)
    except OSError as error:
        raise _refusal(path, error) from None


def _refusal(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written: {error.strerror}; choose another --output")


def _stdout_fd() -> int:
    try:
        sys.stdout.flush()
        return sys.stdout.fileno()
    except (AttributeError, ValueError, OSError):
        raise OutputError("stdout is closed; write the captions with --output FILE") from None
