# SPDX-License-Identifier: Apache-2.0
"""Where speech goes: what an output is, a function, and a WAV file."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from edgestream.errors import OutputError
from edgestream.sources.block import Samples

RATE_HZ = 22_050  # of espeak-ng and of most voices of Piper


class Output(Protocol):
    """Takes the sound of one speaker. `live`: it plays at the world's pace, so one may fall behind.

    All but `abort` are called by the speaker's own thread.
    """

    live: bool
    rate_hz: int

    @property
    def ahead_s(self) -> float:
        """How much sound was written and has not been played."""
        ...

    def begin(self) -> None:
        """Before each clause: opens what `close` let go of."""
        ...

    def write(self, samples: Samples) -> None:
        """float32 mono [n] in [-1, 1] at `rate_hz`; a live one waits until there is room."""
        ...

    def drain(self) -> None:
        """Waits until all was played."""
        ...

    def abort(self) -> None:
        """Drops what was not played, from any thread or signal handler; nobody waits any more."""
        ...

    def close(self) -> None:
        """Lets go of the device or file."""
        ...


class FunctionOutput:
    """Gives the samples to a function, as soon as they are made."""

    live = False
    ahead_s = 0.0

    def __init__(self, take: Callable[[Samples], object], rate_hz: int = RATE_HZ) -> None:
        self._take = take
        self.rate_hz = rate_hz

    def begin(self) -> None:
        """Nothing is opened here."""

    def write(self, samples: Samples) -> None:
        self._take(samples)

    def drain(self) -> None:
        """Nothing waits here."""

    def abort(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The function is the caller's."""


class WavOutput(FunctionOutput):
    """A WAV file of 16 bits mono; speech follows speech, without the silence between.

    It can be read at any time, also after a crash. Raises OutputError where it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], rate_hz: int = RATE_HZ) -> None:
        super().__init__(self._write, rate_hz)
        self._path = os.fspath(path)
        try:
            # Through no buffer: the header says at once how much there is.
            self._raw = open(path, "wb", buffering=0)  # noqa: SIM115, closed by close()
            self._file = wave.open(self._raw, "wb")  # noqa: SIM115, likewise
        except (OSError, ValueError) as error:
            raise self._error(error) from None
        self._file.setparams((1, 2, rate_hz, 0, "NONE", ""))

    def close(self) -> None:
        """Ends the file; may be repeated. Raises OutputError where that fails."""
        try:
            with closing(self._raw):
                self._file.close()
        except OSError as error:
            raise self._error(error) from None

    def _write(self, samples: Samples) -> None:
        try:
            self._file.writeframes((samples * 32767).round().astype("<i2").tobytes())
        except OSError as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(f"{self._path}: speech cannot be written: {reason}; choose another file")
