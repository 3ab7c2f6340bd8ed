# SPDX-License-Identifier: Apache-2.0
"""A room whose microphone hears the loudspeaker: what is spoken there is not captioned.

Real: espeak-ng, PortAudio, PulseAudio with a null sink, whose monitor is the microphone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pulse_room
import pytest
from pulse_room import PulseRoom

import edgestream as es
from edgestream.data import DATA
from edgestream.events import Final
from edgestream.sources.block import Block
from edgestream.sources.sound_file import FileSource
from edgestream.speaking.open import open_engine
from edgestream.speaking.outputs import FunctionOutput
from edgestream.speaking.speaker import Speaker

TEXT = "The weather in the north is very cold. We wait for the morning train, and then we go home."
TALKER = """
    import sys, threading
    import numpy as np
    from edgestream.sources.half_duplex import HalfDuplex, Mute
    from edgestream.sources.microphone import MicrophoneSource
    from edgestream.speaking.loudspeaker import LoudspeakerOutput
    from edgestream.speaking.open import open_engine
    from edgestream.speaking.speaker import Speaker
    mute = Mute()
    source = MicrophoneSource()
    heard = HalfDuplex(source, mute) if sys.argv[2] == "half" else source
    parts = []
    begun = threading.Event()
    def read():
        for block in heard:
            parts.extend([np.zeros(block.lost_samples, np.float32), block.samples])
            begun.set()
    reader = threading.Thread(target=read)
    reader.start()
    begun.wait()
    output = LoudspeakerOutput(mute=mute)
    with Speaker(open_engine(), output, told=lambda text: print(text, flush=True)) as speaker:
        speaker.push(sys.argv[3])
        speaker.finish()
    threading.Event().wait(1.0)
    n_spoken = sum(map(len, parts))
    print("spoken", flush=True)
    sys.stdin.readline()
    threading.Event().wait(0.5)
    source.stop()
    reader.join()
    source.close()
    np.savez(sys.argv[1], samples=np.concatenate(parts), n_spoken=n_spoken, rate_hz=source.rate_hz)
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[PulseRoom]:
    if reason := pulse_room.missing():
        pytest.skip(reason)
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is missing")
    opened = PulseRoom(tmp_path)
    try:
        check = "import sounddevice as s, sys; sys.exit(not s.query_devices())"
        seen = subprocess.run([sys.executable, "-c", check], env=opened.environment, check=False)
        if seen.returncode != 0:
            pytest.skip("PortAudio does not see PulseAudio (libportaudio2, libasound2-plugins)")
        yield opened
    finally:
        opened.close()


def person() -> tuple[bytes, int]:
    """A recording of a person as s16le, and its rate."""
    source = FileSource(DATA / "person.flac", pace=False)
    samples = np.concatenate([block.samples for block in source])[: 6 * source.rate_hz]
    return (samples * 32767).astype("<i2").tobytes(), source.rate_hz


def talk(room: PulseRoom, path: Path, how: str) -> tuple[np.ndarray, np.ndarray, int]:
    """What the microphone gave while the program spoke, then while a person did; and the rate."""
    command = [sys.executable, "-c", textwrap.dedent(TALKER), str(path), how, TEXT]
    with subprocess.Popen(
        command, env=room.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as talker:
        assert talker.stdin is not None
        assert talker.stdout is not None
        assert talker.stdout.readline() == "spoken\n"  # nothing was skipped, nothing failed
        room.play(*person())
        talker.stdin.write("\n")
        talker.stdin.flush()
        assert talker.wait(timeout=60) == 0
    data = np.load(path)
    samples, n_spoken = data["samples"], int(data["n_spoken"])
    return samples[:n_spoken], samples[n_spoken:], int(data["rate_hz"])


def captioned(samples: np.ndarray, rate_hz: int) -> list[str]:
    stream = es.load("synthetic-en").stream(rate_hz=rate_hz)
    events = [*stream.take(Block(samples)), *stream.finish()]
    return [word.text for event in events if isinstance(event, Final) for word in event.words]


def test_it_does_not_caption_itself(room: PulseRoom, tmp_path: Path) -> None:
    own, others, rate_hz = talk(room, tmp_path / "half.npz", "half")
    assert len(own) > rate_hz
    assert not own.any()  # not a single sample of it
    assert captioned(own, rate_hz) == []
    assert np.abs(others).max() > 0.05  # and then people are heard


def test_without_it_it_hears_itself(room: PulseRoom, tmp_path: Path) -> None:
    own, _, rate_hz = talk(room, tmp_path / "full.npz", "full")
    assert np.abs(own).max() > 0.05
    assert captioned(made(rate_hz), rate_hz)


def made(rate_hz: int) -> np.ndarray:
    """The sound of the text as it leaves the speaker."""
    parts: list[np.ndarray] = []
    speaker = Speaker(open_engine(), FunctionOutput(parts.append, rate_hz))
    speaker.push(TEXT)
    speaker.finish()
    return np.concatenate(parts)
