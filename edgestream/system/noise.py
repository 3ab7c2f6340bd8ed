# SPDX-License-Identifier: Apache-2.0
"""What C libraries print to stderr, caught: it is told in our words, or it tells of damage."""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

STDERR_FD = 2
# Lines of libmpg123, of ALSA, of JACK's client and of PortAudio.
KNOWN = re.compile(
    rb"\[src/lib(mpg123|out123)|Note: |Warning: |ALSA lib |Expression '|jack server |JackShm"
    rb"|Cannot (connect to|read) s(erver|ocket)|Cannot lock down|attempt to connect to server|\s*$"
)
_ALONE = threading.RLock()


class Caught:
    """`lines` that were printed, known once the block is over."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []


def _aside() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("edgestream-stderr"), "r+b")
    return tempfile.TemporaryFile()


@contextmanager
def caught(known: re.Pattern[bytes] = KNOWN) -> Iterator[Caught]:
    """Within the block stderr's descriptor leads aside. Lines that are `known` are kept; others,
    from other threads, come through after it.
    """
    found = Caught()
    try:
        saved_fd = os.dup(STDERR_FD)
    except OSError:  # it is closed
        yield found
        return
    with _ALONE, _aside() as aside:
        os.dup2(aside.fileno(), STDERR_FD)
        try:
            yield found
        finally:
            os.dup2(saved_fd, STDERR_FD)
            os.close(saved_fd)
            aside.seek(0)
            lines = aside.read().splitlines(keepends=True)
            found.lines = [line for line in lines if known.match(line)]
            with suppress(OSError):
                for line in lines:
                    if not known.match(line):
                        os.write(STDERR_FD, line)
