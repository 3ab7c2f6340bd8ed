# SPDX-License-Identifier: Apache-2.0
"""Errors that are not edgestream's own: each costs a clause, is one line, and ends nothing."""

from __future__ import annotations

import threading
from collections.abc import Generator

import numpy as np
import pytest

from edgestream.sources.block import Samples
from edgestream.speaking.engine import Chunk
from edgestream.speaking.outputs import FunctionOutput
from edgestream.speaking.speaker import Speaker


class Engine:
    """Says each clause as one sample; `closing` is raised when it is closed."""

    def __init__(self, closing: BaseException | None = None) -> None:
        self.closed = False
        self.said: list[str] = []
        self._closing = closing

    def expect(self, language: str) -> None: ...

    def speak(self, text: str, language: str) -> Generator[Chunk, None, None]:
        if "broken" in text:
            raise ValueError("not\nmine")
        self.said.append(text)
        yield Chunk(np.zeros(1, np.float32), 1000)

    def stop(self) -> None: ...

    def close(self) -> None:
        self.closed = True
        if self._closing is not None:
            raise self._closing


class Output(FunctionOutput):
    """Fails as told with its first sample and when it is closed."""

    def __init__(self, first: BaseException | None = None, closing: Exception | None = None):
        super().__init__(self._first, 1000)
        self.n_written = 0
        self.closed = False
        self._failing = first
        self._closing = closing

    def _first(self, samples: Samples) -> None:
        self.n_written += 1
        failing, self._failing = self._failing, None
        if failing is not None:
            raise failing

    def close(self) -> None:
        self.closed = True
        if self._closing is not None:
            raise self._closing


def finished(speaker: Speaker) -> None:
    """Waits for the end, which a test may not do for ever."""
    waiting = threading.Thread(target=speaker.finish, daemon=True)
    waiting.start()
    waiting.join(timeout=20)
    assert not waiting.is_alive()


def test_any_error_costs_its_clause_only_and_is_one_line() -> None:
    engine, output, told = Engine(), Output(RuntimeError("full")), []
    speaker = Speaker(engine, output, told=told.append)
    speaker.push("One. Two. broken one. Three. ")
    finished(speaker)
    assert engine.said == ["One.", "Two.", "Three."]
    assert output.n_written == 3
    assert told == ["speech: RuntimeError('full')", "speech: ValueError('not\\nmine')"]


def test_who_cannot_be_told_ends_nothing() -> None:
    engine = Engine()

    def told(_: str) -> None:
        raise BrokenPipeError

    speaker = Speaker(engine, Output(), told=told)
    speaker.push("broken one. Two. ")
    finished(speaker)
    assert engine.said == ["Two."]


def test_both_are_closed_though_closing_fails() -> None:
    engine, output, told = Engine(OSError("engine")), Output(None, OSError("output")), []
    finished(Speaker(engine, output, told=told.append))
    assert engine.closed
    assert output.closed
    assert told == ["speech: OSError('output')", "speech: OSError('engine')"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_speaker_that_was_ended_drops_what_comes() -> None:
    engine, output = Engine(), Output(SystemExit())  # a user's function that leaves
    speaker = Speaker(engine, output)
    speaker.push("One. Two. ")
    speaker._thread.join(timeout=20)
    assert engine.closed
    assert output.closed
    for i in range(3):
        speaker.push(f"Number {i}. ")
    assert not speaker._waiting
    finished(speaker)


def test_an_engine_that_fails_at_once_lets_the_output_go() -> None:
    engine, output = Engine(), Output()
    engine.expect = None  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        Speaker(engine, output)
    assert output.closed
