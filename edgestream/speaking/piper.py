# SPDX-License-Identifier: Apache-2.0
"""Piper: voices that sound like people, as networks; its Python package or its program.

A voice is a file `NAME.onnx` with its `NAME.onnx.json` beside it. The package keeps the voice in
memory. Of the program one run speaks one clause, and the next one loads its voice meanwhile.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edgestream.errors import EdgestreamError, ModelError, OperationError, UsageError
from edgestream.library.json_file import Fields, read_json
from edgestream.onnx.session import open_session
from edgestream.sources.block import MAX_RATE_HZ, MIN_RATE_HZ
from edgestream.speaking.engine import Chunk, checked_speed, speakable
from edgestream.speaking.program import Program
from edgestream.system.native_work import native_work

INSTALL = "pip install piper-tts, and fetch a voice: python -m piper.download_voices NAME"


class PiperEngine:
    """Speaks by a voice of Piper, which knows one language; `speed`: times the voice's own.

    Raises UsageError where Piper is not installed or the voice is none.
    """

    def __init__(self, voice: str | Path, speed: float = 1.0) -> None:
        self._path = Path(voice)
        settings = _settings(self._path)
        self._rate_hz = settings.table("audio").integer("sample_rate", MIN_RATE_HZ, MAX_RATE_HZ)
        own = settings.table("espeak").text("voice", "")
        self._language = settings.table("language").text("family", own)
        scale = settings.table("inference").positive("length_scale", 1.0)
        self._length_scale = scale / checked_speed(speed)
        self._voice = _load(self._path, settings)
        self._running: Program | None = None
        self._waiting = self._start() if self._voice is None else None

    def expect(self, language: str) -> None:
        """Raises UsageError where the voice is of another language."""
        own, asked = (re.split("[-_]", code.lower())[0] for code in (self._language, language))
        if own and own != asked:
            raise UsageError(
                f"speech: {self._path.name} speaks '{own}', not '{language}'; give a voice for it"
            )

    def speak(self, text: str, language: str) -> Generator[Chunk, None, None]:
        """The sound of one clause, sentence by sentence."""
        text = speakable(text)
        return self._by_package(text) if self._voice is not None else self._by_program(text)

    def stop(self) -> None:
        """Ends the program that speaks; the package ends with the sentence."""
        if (running := self._running) is not None:
            running.kill()

    def close(self) -> None:
        """Ends the program that waits for a clause."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def _by_package(self, text: str) -> Generator[Chunk, None, None]:
        from piper import SynthesisConfig

        sentences = self._voice.synthesize(text, SynthesisConfig(length_scale=self._length_scale))
        try:
            for sentence in sentences:
                yield Chunk(sentence.audio_float_array, sentence.sample_rate)
        except Exception as error:  # onnxruntime's, or of one of the phonemizers
            raise OperationError(f"speech: {self._path.name}: {error}") from None

    def _by_program(self, text: str) -> Generator[Chunk, None, None]:
        run, self._waiting = self._waiting or self._start(), None
        self._running = run
        with closing(run):
            run.write(text + "\n")
            with suppress(EdgestreamError, OSError):  # the next clause tries again, and says so
                self._waiting = self._start()
            for samples in run.samples():
                yield Chunk(samples, self._rate_hz)

    def _start(self) -> Program:
        program = shutil.which("piper")
        if program is None:
            raise UsageError(f"speech: Piper is not installed; {INSTALL}")
        scale = f"{self._length_scale:.4f}"
        return Program(
            [program, "--model", str(self._path), "--output-raw", "--length_scale", scale]
        )


def _load(path: Path, settings: Fields) -> Any:
    """The voice by the package; None where only the program is there, or neither.

    Not by its own `load`, whose threads wait by spinning: beside captions it takes twice as long.
    """
    try:
        from piper import PiperConfig, PiperVoice
    except ImportError:
        return None
    try:
        config = PiperConfig.from_dict(settings.data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{settings.where}: no voice of Piper: {error!r:.80}") from None
    with native_work():
        return PiperVoice(session=open_session(path), config=config)


def _settings(path: Path) -> Fields:
    """What stands beside the voice. Raises ModelError where one of both is missing or damaged."""
    for needed in (path, Path(f"{path}.json")):
        if not needed.is_file():
            raise ModelError(f"{needed}: there is no such file; {INSTALL}")
    return Fields(read_json(Path(f"{path}.json")), f"{path}.json")
