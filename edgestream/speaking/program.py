# SPDX-License-Identifier: Apache-2.0
"""One run of a program that speaks: text on its stdin, sound on its stdout."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import suppress

import numpy as np

from edgestream.errors import OperationError, UsageError
from edgestream.sources.block import Samples

READ_BYTES = 4096  # at a time: about 90 ms of sound
FULL_SCALE = np.float32(32768)


def find_program(name: str, install: str) -> str:
    """The program's path; raises UsageError that says how to install it."""
    found = shutil.which(name)
    if found is None:
        raise UsageError(f"speech: {name} is not installed; {install}")
    return found


class Program:
    """A started program that waits for its text; `close` ends it."""

    def __init__(self, command: Sequence[str]) -> None:
        """Raises OperationError where it cannot be started."""
        self._name = os.path.basename(command[0])
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed by close(); a pipe fills up
        try:
            # A session of its own, so that Ctrl-C in the terminal does not cut the last words off.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._said.close()
            raise OperationError(f"speech: {self._name} cannot be started: {error}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    def write(self, text: str) -> None:
        """All of the text; a program that is gone is noticed when it is read."""
        with suppress(OSError):
            self._input.write(text.encode())
            self._input.close()

    def read(self, n_bytes: int = READ_BYTES) -> bytes:
        """Exactly so many bytes, fewer at the end. Raises OperationError where it failed."""
        found = self._output.read(n_bytes)
        if len(found) < n_bytes and self._process.wait() != 0:
            raise OperationError(f"speech: {self._name} failed: {self._reason()}")
        return found

    def samples(self) -> Generator[Samples, None, None]:
        """What it writes from here on, as s16le mono: float32 [n] as it comes."""
        while found := self.read():
            yield np.frombuffer(found[: len(found) // 2 * 2], "<i2").astype(np.float32) / FULL_SCALE

    def wait(self) -> str:
        """Until it ends, with nothing to say; returns what is wrong, empty if nothing is."""
        self.write("")
        self._output.read()
        return self._reason() if self._process.wait() != 0 else ""

    def kill(self) -> None:
        """Ends it now, from any thread; what waits in `read` goes on. `close` is still needed."""
        self._process.kill()

    def close(self) -> None:
        """Ends it and forgets it."""
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output, self._said):
            with suppress(OSError):
                stream.close()

    def _reason(self) -> str:
        """The last line that it wrote to stderr."""
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with {self._process.returncode}"
