# SPDX-License-Identifier: Apache-2.0
"""The speaker: in order, skipping when late, silent when stopped, alive when something fails."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Generator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.errors import DeviceError, OperationError, UsageError
from edgestream.sources.block import Samples
from edgestream.speaking import speaker as module
from edgestream.speaking.engine import Chunk
from edgestream.speaking.outputs import FunctionOutput
from edgestream.speaking.speaker import Speaker

RATE_HZ = 1000
LETTER = 10  # samples for each


class LetterEngine:
    """Says each letter as ten samples of its number."""

    def __init__(self, rate_hz: int = RATE_HZ) -> None:
        self.rate_hz = rate_hz
        self.said: list[tuple[str, str]] = []
        self.n_stops = 0
        self.closed = False

    def expect(self, language: str) -> None:
        if len(language) != 2:
            raise UsageError(f"no {language}")

    def speak(self, text: str, language: str) -> Generator[Chunk, None, None]:
        if "broken" in text:
            raise OperationError("the engine broke")
        self.said.append((text, language))
        for c in text:
            yield Chunk(np.full(LETTER, ord(c) / 1000, np.float32), self.rate_hz)

    def stop(self) -> None:
        self.n_stops += 1

    def close(self) -> None:
        self.closed = True


class GatedOutput:
    """A live one that plays nothing before `gate` is set."""

    live = True
    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.written: list[Samples] = []
        self.calls: list[str] = []
        self.aborted = False
        self.failing = ""
        self.reached = threading.Event()

    @property
    def ahead_s(self) -> float:
        return 0.0

    def begin(self) -> None:
        self.calls.append("begin")
        if self.failing:
            raise DeviceError(self.failing)

    def write(self, samples: Samples) -> None:
        self.reached.set()
        while not (self.gate.wait(0.01) or self.aborted):
            pass
        self.written.append(samples)

    def drain(self) -> None:
        self.calls.append("drain")

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.calls.append("close")


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def spoken(pieces: list[str]) -> tuple[list[tuple[str, str]], Samples]:
    """Clauses and sound of a text in pieces."""
    engine, parts = LetterEngine(), [np.zeros(0, np.float32)]
    output = FunctionOutput(parts.append, 2 * RATE_HZ)
    speaker = Speaker(engine, output, settle_s=math.inf)
    for piece in pieces:
        speaker.push(piece)
    speaker.finish()
    return engine.said, np.concatenate(parts)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([" ", ".", ", ", "Hello", "there", "3.5", "a"])), st.randoms())
def test_any_cutting_is_the_same_speech(words: list[str], random: object) -> None:
    text = "".join(words)
    cuts = sorted(random.randint(0, len(text)) for _ in range(4))  # type: ignore[attr-defined]
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    said, samples = spoken(pieces)
    said_whole, whole = spoken([text])
    assert said == said_whole
    assert np.array_equal(samples, whole)


def test_all_is_said_in_order_and_its_sound_is_whole() -> None:
    engine, parts = LetterEngine(), []
    speaker = Speaker(engine, FunctionOutput(parts.append, RATE_HZ), language="de")
    for piece in ("One is", " here. Tw", "o, and ", "three", " wait for the end"):
        speaker.push(piece)
    speaker.push(" oui", "fr")
    speaker.push(" ja")
    speaker.finish()
    assert engine.said == [
        ("One is here.", "de"),
        ("Two, and three wait for the end", "de"),
        ("oui", "fr"),
        ("ja", "de"),
    ]
    text = "".join(text for text, _ in engine.said)
    expected = np.repeat(np.array([ord(c) / 1000 for c in text], np.float32), LETTER)
    assert np.array_equal(np.concatenate(parts), expected)
    assert engine.closed
    speaker.push("too late. ")  # no error
    speaker.finish()


def test_late_clauses_are_skipped_whole_and_the_newest_is_said() -> None:
    engine, output, told = LetterEngine(), GatedOutput(), []
    speaker = Speaker(engine, output, behind_s=2.0, told=told.append)
    speaker.push("The first one is being said. ")
    until(output.reached.is_set)
    for i in range(6):
        speaker.push(f"This is clause number {i} here. ")  # about two seconds each
    assert told
    assert all(line == "speech fell behind: skipped 1 of its clauses" for line in told)
    output.gate.set()
    speaker.finish()
    texts = [text for text, _ in engine.said]
    assert texts[0] == "The first one is being said."
    assert texts[-1] == "This is clause number 5 here."
    assert len(texts) + len(told) == 7
    assert sum(map(len, output.written)) == LETTER * sum(map(len, texts))


def test_push_does_not_wait_for_the_sound() -> None:
    engine, output = LetterEngine(), GatedOutput()
    speaker = Speaker(engine, output, behind_s=math.inf)
    for i in range(1000):
        speaker.push(f"Sentence {i}. ")
    assert not output.written
    speaker.stop()
    speaker.finish()


def test_stop_drops_the_rest_and_finish_returns() -> None:
    engine, output, told = LetterEngine(), GatedOutput(), []
    with Speaker(engine, output, told=told.append) as speaker:
        speaker.push("One sentence. Another sentence. A third. ")
        until(output.reached.is_set)
        speaker.stop()
        speaker.finish()
    assert len(engine.said) == 1
    assert engine.n_stops >= 1
    assert engine.closed
    assert output.calls[-1] == "close"
    assert told == []


def test_a_sentence_without_a_follower_settles() -> None:
    engine, parts = LetterEngine(), []
    speaker = Speaker(engine, FunctionOutput(parts.append, RATE_HZ), settle_s=0.01)
    speaker.push("It works.")
    until(lambda: bool(engine.said))
    speaker.push(" It is Dr.")
    speaker.push(" Who")
    speaker.finish()
    assert [text for text, _ in engine.said] == ["It works.", "It is Dr. Who"]


def test_what_fails_is_told_once_and_speech_goes_on() -> None:
    engine, parts, told = LetterEngine(), [], []
    speaker = Speaker(engine, FunctionOutput(parts.append, RATE_HZ), told=told.append)
    speaker.push("broken one. broken two. Whole again. ")
    speaker.push("what is it. ", "french")
    speaker.push("Yes. ", "en")
    speaker.finish()
    assert [text for text, _ in engine.said] == ["Whole again.", "Yes."]
    assert told == ["the engine broke", "no french"]


def test_a_device_that_is_gone_is_asked_again_for_each_clause() -> None:
    engine, output, told = LetterEngine(), GatedOutput(), []
    output.gate.set()
    output.failing = "the loudspeaker is gone"
    speaker = Speaker(engine, output, told=told.append)
    speaker.push("One here. Two here. ")
    until(lambda: output.calls.count("begin") == 2)
    output.failing = ""
    speaker.push("Three here. ")
    speaker.finish()
    assert [text for text, _ in engine.said] == ["Three here."]
    assert told == ["the loudspeaker is gone"]


def test_an_idle_device_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.02)
    engine, output = LetterEngine(), GatedOutput()
    output.gate.set()
    speaker = Speaker(engine, output)
    speaker.push("One here. ")
    until(lambda: "close" in output.calls)
    speaker.push("Two here. ")
    until(lambda: len(engine.said) == 2)
    speaker.finish()
    assert output.calls[:3] == ["begin", "close", "begin"]


def test_what_was_said_last_is_played_before_the_device_closes() -> None:
    output = GatedOutput()
    output.gate.set()
    speaker = Speaker(LetterEngine(), output)
    speaker.push("One here. \u2014")  # a mark that nobody speaks is left
    speaker.finish()
    assert output.calls == ["begin", "drain", "close"]


def test_a_language_that_cannot_be_spoken_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="no french"):
        Speaker(LetterEngine(), FunctionOutput(print), language="french")
