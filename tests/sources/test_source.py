# SPDX-License-Identifier: Apache-2.0
"""Files: every kind comes in as float32 mono blocks, every bad one as one clear line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgestream.errors import SourceError
from edgestream.sources.block import BLOCK_MS, Samples
from edgestream.sources.sound_file import FileSource

RATE_HZ = 16_000


def tone(seconds: float, rate_hz: int = RATE_HZ, channels: int = 1) -> np.ndarray:
    """A 440 Hz tone of amplitude 0.5 in the first channel, silence in the others."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    frames = np.zeros((len(t), channels))
    frames[:, 0] = 0.5 * np.sin(2 * np.pi * 440 * t)
    return frames


OpenFile = Callable[..., FileSource]


@pytest.fixture
def open_file() -> Iterator[OpenFile]:
    """FileSource, closed after the test."""
    with ExitStack() as opened:
        yield lambda *args, **options: opened.enter_context(closing(FileSource(*args, **options)))


def heard(path: Path, **options: float) -> Samples:
    source = FileSource(path, pace=False, **options)  # type: ignore[arg-type]
    try:
        return np.concatenate([block.samples for block in source])
    finally:
        source.close()


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_U8", 2**-7),
        ("wav", "PCM_16", 2**-15),
        ("wav", "PCM_24", 2**-22),
        ("wav", "PCM_32", 2**-22),
        ("wav", "FLOAT", 0.0),
        ("wav", "DOUBLE", 2**-24),
        ("wav", "ULAW", 2e-2),
        ("flac", "PCM_16", 2**-15),
        ("ogg", "VORBIS", 5e-2),
        ("ogg", "OPUS", 1e-1),
    ],
)
def test_each_kind_of_file(tmp_path: Path, suffix: str, subtype: str, tolerance: float) -> None:
    path = tmp_path / f"speech.{suffix}"
    expected = tone(0.5)[:, 0].astype(np.float32)
    soundfile.write(path, expected, RATE_HZ, subtype=subtype)
    samples = heard(path)
    assert samples.dtype == np.float32
    assert len(samples) == len(expected)
    inner = slice(800, -800)  # lossy coders ring at the ends
    assert np.abs(samples - expected)[inner].max() <= tolerance


def test_mp3_pitch_and_length(tmp_path: Path) -> None:
    path = tmp_path / "speech.mp3"
    soundfile.write(path, tone(1.0), RATE_HZ)
    samples = heard(path)
    assert abs(len(samples) / RATE_HZ - 1.0) < 0.1
    spectrum = np.abs(np.fft.rfft(samples[:RATE_HZ]))
    assert abs(int(spectrum.argmax()) - 440) <= 1


def test_96_khz_with_one_of_6_channels_alive_is_as_loud_as_that(tmp_path: Path) -> None:
    path = tmp_path / "surround.wav"
    frames = tone(0.25, 96_000, 6)
    soundfile.write(path, frames, 96_000, subtype="PCM_24")
    source = FileSource(path, pace=False)
    assert source.rate_hz == 96_000
    assert source.duration_ms == 250.0
    samples = np.concatenate([block.samples for block in source])
    assert np.abs(samples - frames[:, 0]).max() < 1e-6
    source.close()


def test_bad_numbers_become_silence_and_peaks_are_limited(tmp_path: Path) -> None:
    path = tmp_path / "float.wav"
    values = np.array([0.25, np.nan, 3.0, -np.inf, np.inf, -0.5], np.float32)
    soundfile.write(path, values, RATE_HZ, subtype="FLOAT")
    assert heard(path).tolist() == [0.25, 0.0, 1.0, -1.0, 1.0, -0.5]


def test_start_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    expected = tone(1.0)[:, 0].astype(np.float32)
    soundfile.write(path, expected, RATE_HZ, subtype="FLOAT")
    assert np.array_equal(heard(path, start_s=0.75), expected[12_000:])
    with pytest.raises(SourceError, match="cannot start at 2 s, it is 1 s long"):
        FileSource(path, pace=False, start_s=2.0)


def test_blocks_are_small_so_that_hours_fit_in_memory(open_file: OpenFile, tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, tone(2.0), RATE_HZ)
    sizes = [len(block.samples) for block in open_file(path, pace=False)]
    assert max(sizes) == RATE_HZ * BLOCK_MS // 1000
    assert sum(sizes) == 2 * RATE_HZ


def test_truncated_wav_gives_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    expected = tone(1.0)[:, 0].astype(np.float32)
    soundfile.write(path, expected, RATE_HZ, subtype="FLOAT")
    path.write_bytes(path.read_bytes()[: -4 * RATE_HZ // 2])
    samples = heard(path)
    assert 0.4 * RATE_HZ < len(samples) < 0.6 * RATE_HZ
    assert np.array_equal(samples, expected[: len(samples)])


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_truncated_compressed_file_ends_and_loses_no_time(
    open_file: OpenFile, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise = np.random.default_rng(1).standard_normal(4 * RATE_HZ) * 0.1
    soundfile.write(path, noise, RATE_HZ)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = open_file(path, pace=False)
    blocks = list(source)
    n_samples = sum(len(block.samples) for block in blocks)
    assert RATE_HZ // 2 < n_samples < 3 * RATE_HZ
    n_lost = sum(block.lost_samples for block in blocks)
    assert abs((n_samples + n_lost) * 1000 / RATE_HZ - source.duration_ms) <= 100
    assert all(block.reason == "damaged file" for block in blocks if block.lost_samples)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: path.write_text("Not a sound, a poem.\n" * 50), "not audio"),
        (lambda path: path.write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt "), "not audio"),
        (lambda path: soundfile.write(path, tone(0.0), RATE_HZ), "no sound in it"),
        (lambda path: soundfile.write(path, tone(1.0), 1, format="WAV"), "rate of 1 Hz"),
    ],
)
def test_unusable_files_in_one_line(tmp_path: Path, make, message: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "speech.wav"
    make(path)
    with pytest.raises(Exception, match=message) as caught:
        FileSource(path, pace=False)
    assert type(caught.value).__module__ == "edgestream.errors"
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_name_too_long_for_a_file_is_one_line() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        FileSource(5000 * "a", pace=False)


def test_headerless_file_is_not_taken_for_audio(tmp_path: Path) -> None:
    path = tmp_path / "samples.raw"
    path.write_bytes(bytes(range(256)) * 100)
    with pytest.raises(SourceError, match="not audio"):
        FileSource(path, pace=False)


def test_paced_file_takes_its_own_time(open_file: OpenFile, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    soundfile.write(path, tone(0.4), RATE_HZ)
    source = open_file(path, pace=True)
    begun_s = time.monotonic()
    for n, _ in enumerate(source, start=1):
        due_s = n * BLOCK_MS / 1000
        assert time.monotonic() - begun_s >= due_s - 0.002  # never before it was spoken
    assert time.monotonic() - begun_s < 3.0


def test_late_reader_loses_nothing_and_is_told(open_file: OpenFile, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    soundfile.write(path, tone(0.4), RATE_HZ)
    source = open_file(path, pace=True)
    n_samples, worst_ms = 0, 0.0
    for block in source:
        if n_samples == 0:
            time.sleep(0.2)
        n_samples += len(block.samples)
        worst_ms = max(worst_ms, source.behind_ms)
        assert block.lost_samples == 0
    assert n_samples == round(0.4 * RATE_HZ)
    assert 120 <= worst_ms <= 2_000


def test_stop_ends_a_paced_file_at_once(open_file: OpenFile, tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    soundfile.write(path, tone(30.0), RATE_HZ)
    source = open_file(path, pace=True)
    threading.Timer(0.1, source.stop).start()
    begun_s = time.monotonic()
    blocks = list(source)
    assert time.monotonic() - begun_s < 1.0
    assert 1 <= len(blocks) <= 12
