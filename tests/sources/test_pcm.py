# SPDX-License-Identifier: Apache-2.0
"""Raw PCM: every format and every cutting of the bytes, pipes that wait, and wrong input."""

from __future__ import annotations

import io
import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.errors import SourceError, UsageError
from edgestream.sources.block import Samples
from edgestream.sources.pcm import PcmSource, standard_input
from edgestream.sources.sample_formats import SampleFormat
from edgestream.sources.sound_kind import kind_of

VALUES = np.array([0.0, 0.5, -0.5, 0.25, -1.0, 0.125])


def encoded(values: np.ndarray, sample_format: str) -> bytes:
    """Written apart from the code under test: integers by hand, big end by reversing bytes."""
    n_bytes = 1 if sample_format == "u8" else int(sample_format[1:3]) // 8
    out = b""
    for value in values:
        if sample_format.startswith("f32"):
            word = np.float32(value).tobytes()
        elif sample_format == "u8":
            word = bytes([round(value * 128 + 128)])
        else:
            scaled = round(value * 2 ** (8 * n_bytes - 1))
            word = scaled.to_bytes(n_bytes, "little", signed=True)
        out += word[::-1] if sample_format.endswith("be") else word
    return out


class Dribble(io.BytesIO):
    """A stream without a descriptor that gives 1, 2, 3, 1, 2, 3 ... bytes at a time."""

    n_reads = 0

    def read(self, n_bytes: int | None = -1) -> bytes:
        self.n_reads += 1
        return super().read(1 + self.n_reads % 3)


def heard(source: PcmSource) -> Samples:
    blocks = [block.samples for block in source]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


@pytest.mark.parametrize("sample_format", [form.value for form in SampleFormat])
@pytest.mark.parametrize("stream", [io.BytesIO, Dribble])
def test_each_format_under_any_cutting(sample_format: str, stream: type[io.BytesIO]) -> None:
    source = PcmSource(stream(encoded(VALUES, sample_format)), 16_000, 1, sample_format)
    assert heard(source).tolist() == VALUES.tolist()


@settings(deadline=None)
@given(
    st.binary(min_size=28, max_size=400),
    st.sampled_from([form.value for form in SampleFormat]),
    st.integers(1, 7),
)
def test_any_bytes_are_samples_in_range(data: bytes, sample_format: str, channels: int) -> None:
    if kind_of(data, ended=True).name:
        return
    whole = heard(PcmSource(io.BytesIO(data), 48_000, channels, sample_format))
    cut = heard(PcmSource(Dribble(data), 48_000, channels, sample_format))
    assert np.array_equal(whole, cut)
    assert np.isfinite(whole).all()
    assert np.abs(whole).max(initial=0.0) <= 1.0
    n_bytes = SampleFormat(sample_format).n_bytes * channels
    assert len(whole) == len(data) // n_bytes


def test_channels_are_averaged() -> None:
    stereo = encoded(np.array([0.5, 0.25, -0.5, 0.0]), "s16le")
    assert heard(PcmSource(io.BytesIO(stereo), 8_000, 2, "s16le")).tolist() == [0.375, -0.25]


def test_pipe_gives_samples_as_soon_as_they_are_there() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as stream:
        source = PcmSource(stream, 16_000, 1, "s16le")
        blocks = iter(source)
        os.write(write_fd, encoded(VALUES, "s16le") + b"\x00")  # and half a sample
        begun_s = time.monotonic()
        assert len(next(blocks).samples) == len(VALUES)
        assert time.monotonic() - begun_s < 0.5  # it does not wait for a full buffer
        os.write(write_fd, b"\x40")
        assert next(blocks).samples.tolist() == [0.5]
        os.close(write_fd)
        assert list(blocks) == []


def test_stop_ends_a_silent_pipe() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as stream:
        source = PcmSource(stream, 16_000)
        threading.Timer(0.1, source.stop).start()
        begun_s = time.monotonic()
        assert list(source) == []
        assert time.monotonic() - begun_s < 1.0
    os.close(write_fd)


def test_redirected_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "speech.pcm"
    path.write_bytes(encoded(VALUES, "f32le"))
    with path.open("rb") as stream:
        assert heard(PcmSource(stream, 16_000, 1, "f32le")).tolist() == VALUES.tolist()


def test_directory_as_stdin(tmp_path) -> None:  # type: ignore[no-untyped-def]
    fd = os.open(tmp_path, os.O_RDONLY)
    stream = io.BytesIO()
    stream.fileno = lambda: fd  # type: ignore[method-assign]
    with pytest.raises(SourceError, match="stdin: cannot be read: Is a directory"):
        list(PcmSource(stream, 16_000))
    os.close(fd)


@pytest.mark.parametrize(
    ("magic", "name"), [(b"RIFF", "wav"), (b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3\x04", "mp3")]
)
def test_audio_files_on_stdin_are_not_taken_for_noise(magic: bytes, name: str) -> None:
    with pytest.raises(SourceError, match=f"this is a {name} file, not raw PCM"):
        list(PcmSource(io.BytesIO(magic + bytes(1000)), 16_000))


@pytest.mark.parametrize("data", [b"", b"\x01"])
def test_no_sound_at_all(data: bytes) -> None:
    with pytest.raises(SourceError, match="stdin: it ended before there was any sound"):
        list(PcmSource(io.BytesIO(data), 16_000))


def test_closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SourceError, match="stdin is closed"):
        standard_input()


def test_terminal_as_stdin() -> None:
    leader_fd, terminal_fd = os.openpty()
    with (
        os.fdopen(terminal_fd, "rb") as stream,
        pytest.raises(SourceError, match="stdin is a terminal; pipe raw PCM into it"),
    ):
        PcmSource(stream, 16_000)
    os.close(leader_fd)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "sample_format", "message"),
    [
        (0, 1, "s16le", "a rate of 0 Hz cannot be used"),
        (2_000_000, 1, "s16le", "a rate of 2000000 Hz cannot be used"),
        (16_000, 0, "s16le", "0 channels"),
        (16_000, 1, "s12le", "'s12le' is not known; use u8, s16le"),
    ],
)
def test_wrong_use(rate_hz: int, channels: int, sample_format: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PcmSource(io.BytesIO(), rate_hz, channels, sample_format)
