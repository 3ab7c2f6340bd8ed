# SPDX-License-Identifier: Apache-2.0
"""Speech in a file: it can be read at any time, and what cannot be written is one line."""

from __future__ import annotations

import os
import wave
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

from edgestream.errors import OutputError
from edgestream.speaking.engine import Chunk
from edgestream.speaking.outputs import FunctionOutput, WavOutput
from edgestream.speaking.speaker import Speaker

FULL = np.repeat(np.array([1, -1] * 20, np.float32), 50)  # a square wave: it overshoots
RAMP = np.linspace(-1, 1, 1000, dtype=np.float32)


def read(path: Path) -> tuple[np.ndarray, int]:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def test_a_file_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    output = WavOutput(path, 8_000)
    output.write(RAMP)
    assert len(read(path)[0]) == 1000
    output.write(-RAMP)
    output.close()
    output.close()
    samples, rate_hz = read(path)
    assert rate_hz == 8_000
    expected = np.concatenate([RAMP, -RAMP]) * 32767
    assert np.abs(samples - expected).max() <= 0.5


@pytest.mark.parametrize("name", ["none/said.wav", "a\0b", "."])
def test_what_cannot_be_written_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"speech cannot be written: .*; choose another file"):
        WavOutput(f"{tmp_path}/{name}")


class Beep:
    """Says each clause as the same samples, a ramp."""

    def __init__(self, samples: np.ndarray = RAMP) -> None:
        self._samples = samples

    def expect(self, language: str) -> None: ...

    def speak(self, text: str, language: str) -> Generator[Chunk, None, None]:
        yield Chunk(self._samples, 22_050)

    def stop(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_is_told_once() -> None:
    told: list[str] = []
    speaker = Speaker(Beep(), WavOutput("/dev/full"), told=told.append)
    speaker.push("One. Two. Three. ")
    speaker.finish()
    assert told == [
        "/dev/full: speech cannot be written: No space left on device; choose another file"
    ]


def test_a_loud_voice_is_clipped_where_its_rate_is_changed(tmp_path: Path) -> None:
    parts: list[np.ndarray] = []
    path = tmp_path / "loud.wav"
    for output in (FunctionOutput(parts.append, 44_100), WavOutput(path, 44_100)):
        speaker = Speaker(Beep(FULL), output)
        speaker.push("One. ")
        speaker.finish()
    samples = np.concatenate(parts)
    assert (samples.max(), samples.min()) == (1.0, -1.0)
    assert np.abs(read(path)[0] - samples * 32767).max() <= 0.5  # wrapped round, it is 65,000
