# SPDX-License-Identifier: Apache-2.0
"""What makes sound out of a clause."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from edgestream.errors import UsageError
from edgestream.sources.block import Samples
from edgestream.system.checks import finite

MIN_SPEED, MAX_SPEED = 0.5, 2.5  # times the voice's own; espeak-ng goes no further
# "**bold**" and "`code`" are for the eye, and "[[" begins phonemes for espeak-ng and for Piper.
UNSPOKEN = str.maketrans({"*": None, "`": None, "_": " ", "[": " ", "]": " "})
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of speech: float32 mono [n] in [-1, 1]; `rate_hz` is the same for a whole clause."""

    samples: Samples
    rate_hz: int


class Engine(Protocol):
    """Speaks clauses, one at a time."""

    def expect(self, language: str) -> None:
        """Raises UsageError where it cannot speak the language (a code, as "fr" or "pt-BR")."""
        ...

    def speak(self, text: str, language: str) -> Generator[Chunk, None, None]:
        """The sound of one clause as it is made. Closing the iterator ends the work.

        Raises OperationError where the engine fails.
        """
        ...

    def stop(self) -> None:
        """Ends the clause that is being made, from any thread or signal handler."""
        ...

    def close(self) -> None:
        """Lets go of processes and memory."""
        ...


def checked_speed(speed: float) -> float:
    """The speed; raises UsageError on one that no engine keeps."""
    found = finite(speed, "speech: a speed", f"give {MIN_SPEED} to {MAX_SPEED}")
    if not MIN_SPEED <= found <= MAX_SPEED:
        raise UsageError(f"speech: a speed of {found:g}; give {MIN_SPEED} to {MAX_SPEED}")
    return found


def speakable(text: str) -> str:
    """The text without what is written for the eye only, on one line and valid Unicode."""
    return " ".join(CONTROL.sub(" ", text).translate(UNSPOKEN).split())
