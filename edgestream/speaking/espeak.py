# SPDX-License-Identifier: Apache-2.0
"""espeak-ng: a small voice for more than a hundred languages, as a program.

One run speaks one clause: it starts in a few milliseconds, and one that fails takes nothing along.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator
from contextlib import closing

from edgestream.errors import OperationError, UsageError
from edgestream.speaking.engine import Chunk, checked_speed, speakable
from edgestream.speaking.program import Program, find_program

NAME = "espeak-ng"
INSTALL = (
    "install it (Debian, Ubuntu: apt-get install espeak-ng; macOS: brew install espeak-ng) or"
    " give the path of a Piper voice (.onnx)"
)
WORDS_PER_MIN = 175  # its own speed
# What it writes before the samples: a WAV header without further chunks, with a length made up.
HEADER = struct.Struct("<4s4x4s4s4xHHIIHH4s4x")
PCM = 1
NAMED = re.compile(r"[\w+\-]+(/[\w+\-]+)*")  # a voice's name or its file below the data folder


class EspeakEngine:
    """Speaks by the program espeak-ng.

    `voice`: one of `espeak-ng --voices` for all languages, as "en-us+f3"; the language's if None.
    `speed`: times the usual one. Raises UsageError where the program or the voice is missing.
    """

    def __init__(self, voice: str | None = None, speed: float = 1.0) -> None:
        self._words_per_min = round(WORDS_PER_MIN * checked_speed(speed))
        self._program = find_program(NAME, INSTALL)
        self._voice = voice
        self._known: set[str] = set()
        self._running: Program | None = None
        if voice is not None:
            self._expect(voice, f"speech: voice '{voice}'")

    def expect(self, language: str) -> None:
        """Raises UsageError where it has no voice for the language (as "fr" or "pt-BR")."""
        if self._voice is None:
            self._expect(language, f"speech: language '{language}'")

    def speak(self, text: str, language: str) -> Generator[Chunk, None, None]:
        """The sound of one clause, with the pause that its last mark asks for."""
        self._running = run = Program([*self._command(self._voice or language), "--stdout"])
        with closing(run):
            run.write(speakable(text))
            rate_hz = _rate(run.read(HEADER.size))
            for samples in run.samples():
                yield Chunk(samples, rate_hz)

    def stop(self) -> None:
        """Ends the clause that is being made."""
        if (running := self._running) is not None:
            running.kill()

    def close(self) -> None:
        """Nothing is kept between clauses."""

    def _expect(self, voice: str, what: str) -> None:
        if voice in self._known:
            return
        trouble = "" if NAMED.fullmatch(voice) else "no name"
        if not trouble:
            with closing(Program([*self._command(voice), "-q"])) as run:
                trouble = run.wait()
        if trouble:
            raise UsageError(f"{what}: {NAME} has none of this name; see {NAME} --voices")
        self._known.add(voice)

    def _command(self, voice: str) -> list[str]:
        speed = str(self._words_per_min)
        return [self._program, "-b", "1", "-v", voice, "-s", speed, "--stdin"]


def _rate(header: bytes) -> int:
    """In Hz, of 16 bits mono; raises OperationError on any other header."""
    if len(header) == HEADER.size:
        riff, wave, fmt, coding, channels, rate_hz, _, _, bits, data = HEADER.unpack(header)
        known = (riff, wave, fmt, data) == (b"RIFF", b"WAVE", b"fmt ", b"data")
        if known and (coding, channels, bits) == (PCM, 1, 16):
            return int(rate_hz)
    raise OperationError(f"speech: {NAME} wrote no WAV of 16 bits mono; another version is needed")
