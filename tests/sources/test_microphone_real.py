# SPDX-License-Identifier: Apache-2.0
"""The microphone on a real PortAudio: a PulseAudio room that the tests speak into."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pulse_room
import pytest
from pulse_room import PulseRoom

PLAYED_HZ = 16_000
# A sweep: unlike a tone it matches itself at one place only, so lost samples would show.
SECONDS = np.arange(3 * PLAYED_HZ) / PLAYED_HZ
SWEEP = 0.5 * np.sin(2 * np.pi * (300 + 400 * SECONDS) * SECONDS)

RECORDER = """
    import sys, threading, time
    import numpy as np
    from edgestream.errors import EdgestreamError
    from edgestream.sources.microphone import MicrophoneSource
    try:
        source = MicrophoneSource(sys.argv[3] if len(sys.argv) > 3 else None)
    except EdgestreamError as error:
        sys.exit(str(error))
    threading.Timer(float(sys.argv[2]), source.stop).start()
    parts = []
    for block in source:
        if not parts:
            print("recording", flush=True)
        if block.lost_samples:
            print(block.reason, block.lost_samples / source.rate_hz, flush=True)
        parts += [np.zeros(block.lost_samples, np.float32), block.samples]
    source.close()
    np.savez(sys.argv[1], samples=np.concatenate(parts), rate_hz=source.rate_hz)
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[PulseRoom]:
    if reason := pulse_room.missing():
        pytest.skip(reason)
    opened = PulseRoom(tmp_path)
    try:
        check = "import sounddevice as s, sys; sys.exit(not s.query_devices())"
        if run(opened, check).returncode != 0:
            pytest.skip("PortAudio does not see PulseAudio (libportaudio2, libasound2-plugins)")
        yield opened
    finally:
        opened.close()


def run(room: PulseRoom, code: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    return subprocess.run(command, env=room.environment, capture_output=True, text=True, timeout=60)


def start_recorder(room: PulseRoom, *args: object) -> subprocess.Popen[str]:
    """A recorder (file, seconds, device) that hears the room already."""
    command = [sys.executable, "-c", textwrap.dedent(RECORDER), *map(str, args)]
    recorder = subprocess.Popen(command, env=room.environment, stdout=subprocess.PIPE, text=True)
    assert recorder.stdout is not None
    assert recorder.stdout.readline() == "recording\n"
    return recorder


def play(room: PulseRoom, samples: np.ndarray) -> None:
    room.play((samples * 32_767).astype("<i2").tobytes(), PLAYED_HZ)


def find(needle: np.ndarray, recording: Path) -> tuple[float, float]:
    """Where in the recording the needle is (s), and how alike they are (correlation)."""
    data = np.load(recording)
    samples, rate_hz = data["samples"], int(data["rate_hz"])
    times = np.arange(len(needle) * rate_hz // PLAYED_HZ) * PLAYED_HZ / rate_hz
    needle = np.interp(times, np.arange(len(needle)), needle)
    n_fft = 1 << (len(samples) + len(needle)).bit_length()
    spectrum = np.fft.rfft(samples, n_fft) * np.fft.rfft(needle, n_fft).conj()
    scores = np.fft.irfft(spectrum, n_fft)[: max(1, len(samples) - len(needle))]
    at = int(np.argmax(scores))
    part = samples[at : at + len(needle)]
    likeness = scores[at] / (np.linalg.norm(part) * np.linalg.norm(needle) + 1e-9)
    return at / rate_hz, float(likeness)


def test_what_is_played_is_heard_whole(room: PulseRoom, tmp_path: Path) -> None:
    path = tmp_path / "heard.npz"
    recorder = start_recorder(room, path, 8.0)
    play(room, SWEEP)
    output, _ = recorder.communicate(timeout=30)
    assert recorder.returncode == 0
    assert output == ""  # nothing was lost
    _, likeness = find(SWEEP, path)
    assert likeness > 0.95  # a lost 20 ms in the middle leaves about half


def test_a_room_that_closes_and_opens_again(room: PulseRoom, tmp_path: Path) -> None:
    path = tmp_path / "heard.npz"
    begun_s = time.monotonic()
    recorder = start_recorder(room, path, 14.0, "room")
    lines: list[str] = []
    assert recorder.stdout is not None
    reader = threading.Thread(target=lines.extend, args=(recorder.stdout,))
    reader.start()
    play(room, SWEEP[:PLAYED_HZ])
    room.close()
    time.sleep(3.5)
    room.start()
    while len(lines) < 2 and recorder.poll() is None:
        time.sleep(0.05)
    play(room, SWEEP[PLAYED_HZ:])
    assert recorder.wait(timeout=30) == 0
    lived_s = time.monotonic() - begun_s
    reader.join()
    assert [line.rsplit(" ", 1)[0] for line in lines] == ["microphone lost"] * 2
    away_s = sum(float(line.rsplit(" ", 1)[1]) for line in lines)
    assert 3.0 < away_s < lived_s
    first_s, first_likeness = find(SWEEP[:PLAYED_HZ], path)
    second_s, second_likeness = find(SWEEP[PLAYED_HZ:], path)
    assert min(first_likeness, second_likeness) > 0.95
    assert second_s > first_s + away_s  # the clock ran on while it was away


def test_devices_are_listed_and_wrong_ones_refused(room: PulseRoom, tmp_path: Path) -> None:
    code = """
        from edgestream.sources.microphones import list_devices
        for device in list_devices():
            print(device.index, device.name, device.host, device.default)
    """
    listed = run(room, code).stdout
    assert "default ALSA True" in listed
    assert "room ALSA False" in listed
    refused = run(room, RECORDER, tmp_path / "x", 1, "no such thing")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        "microphone 'no such thing': there is none; see edgestream listen --list-devices"
    )
