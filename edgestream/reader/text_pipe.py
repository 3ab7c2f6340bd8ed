# SPDX-License-Identifier: Apache-2.0
"""Text out of a pipe or a terminal, which may be silent for long."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator

from edgestream.errors import SourceError
from edgestream.reader.text import PIECE_BYTES, TextSource

IDLE_MS = 100  # from one empty piece to the next while nothing comes


class TextPipe(TextSource):
    """Pieces of stdin as they come; while none does an empty one now and then, so that who reads
    may tell what it has meanwhile, and `stop` is heard."""

    def __init__(self, fd: int, name: str = "stdin") -> None:
        self.name = name
        self._fd = fd
        self._stopped = False

    def __iter__(self) -> Iterator[bytes]:
        """Raises SourceError: reading failed."""
        while not self._stopped:
            if not self._has_some():
                yield b""
                continue
            try:
                piece = os.read(self._fd, PIECE_BYTES)
            except OSError as error:
                raise SourceError(f"{self.name}: cannot be read: {error.strerror}") from None
            if not piece:
                return
            yield piece

    def close(self) -> None:
        """stdin stays open."""

    def _has_some(self) -> bool:
        if not hasattr(select, "poll"):  # on Windows a read simply blocks
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(IDLE_MS))


def standard_text() -> TextPipe:
    """The text on stdin. Raises SourceError where it is closed."""
    try:
        return TextPipe(sys.stdin.fileno())
    except (AttributeError, OSError, ValueError):
        raise SourceError("stdin is closed; pipe text into it or name a text file") from None
