# SPDX-License-Identifier: Apache-2.0
"""Sound files by name and through a pipe: each container, cut off, joined, with a wrong header."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_cli import COMMAND, SAMPLE, run

from edgestream.errors import SourceError
from edgestream.sources.piped import open_piped
from edgestream.sources.sound_file import MOST_LINKS, FileSource, open_sound
from edgestream.sources.sound_kind import kind_of

RATE_HZ = 16_000
# What soundfile writes, with its own name of the container.
CONTAINERS = {
    "wav": "WAV", "wavex": "WAVEX", "rf64": "RF64", "w64": "W64", "aiff": "AIFF", "au": "AU",
    "caf": "CAF", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3", "voc": "VOC", "sph": "NIST",
    "paf": "PAF", "svx": "SVX", "avr": "AVR",
}  # fmt: skip
LINEAR = ["wav", "wavex", "rf64", "w64", "aiff", "au", "caf"]


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))


def contained(samples: np.ndarray, container: str) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, samples, RATE_HZ, format=CONTAINERS[container])
    return data.getvalue()


def read(path: Path) -> tuple[np.ndarray, int, set[str]]:
    """The samples, how many were lost, and for what reasons."""
    source = FileSource(path, pace=False)
    blocks = list(source)
    source.close()
    lost = [block for block in blocks if block.lost_samples]
    samples = np.concatenate([block.samples for block in blocks])
    return samples, sum(b.lost_samples for b in lost), {b.reason for b in lost}


class Pipe:
    """The read end of a pipe into which a thread writes pieces."""

    def __init__(self, data: bytes, piece_bytes: int) -> None:
        read_fd, self._write_fd = os.pipe()
        self.stream = os.fdopen(read_fd, "rb")
        self._thread = threading.Thread(target=self._write, args=(data, piece_bytes))
        self._thread.start()

    def _write(self, data: bytes, piece_bytes: int) -> None:
        try:
            for at in range(0, len(data), piece_bytes):
                os.write(self._write_fd, data[at : at + piece_bytes])
        except BrokenPipeError:
            pass
        os.close(self._write_fd)

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self._thread.join()


def piped(data: bytes, piece_bytes: int = 1 << 16) -> tuple[np.ndarray, int, int]:
    """Samples, rate and losses of bytes that come through a pipe."""
    with Pipe(data, piece_bytes) as pipe:
        source = open_piped(pipe.stream, 8_000)
        blocks = list(source)
        source.close()
    lost = sum(block.lost_samples for block in blocks)
    return np.concatenate([block.samples for block in blocks]), source.rate_hz, lost


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("piece_bytes", [2, 1000])
def test_a_file_through_a_pipe_is_heard_as_by_its_name(container, piece_bytes, tmp_path):
    path = tmp_path / f"speech.{container}"
    path.write_bytes(contained(noise(0.4 if piece_bytes == 2 else 2), container))
    expected, lost, _ = read(path)
    samples, rate_hz, lost_in_pipe = piped(path.read_bytes(), piece_bytes)
    assert (rate_hz, lost, lost_in_pipe) == (RATE_HZ, 0, 0)
    assert np.array_equal(samples, expected)


def test_an_mp3_without_id3_is_one_and_samples_that_begin_like_it_are_none():
    mp3 = contained(noise(1), "mp3")
    assert mp3[:1] == b"\xff"
    assert kind_of(mp3[:4096], ended=False).name == "mp3"
    loud = np.full(4000, -1, "<i2").tobytes()  # ff ff ff ff
    assert kind_of(loud[:4096], ended=False).name == ""
    assert kind_of(mp3[:2] + bytes(4094), ended=False).name == ""


@pytest.mark.parametrize("args", [[], ["--rate", "8000"]])
def test_the_command_hears_a_wav_of_stdin_in_a_pipe_and_redirected(args, tmp_path):
    path = tmp_path / "speech.wav"
    soundfile.write(path, *soundfile.read(SAMPLE, frames=5 * RATE_HZ))
    expected = run("listen", "-m", "synthetic-en", path, "--fast").stdout
    with path.open("rb") as stdin:
        assert run("listen", "-m", "synthetic-en", "-", *args, stdin=stdin).stdout == expected
    done = subprocess.run(
        [*COMMAND, "listen", "-m", "synthetic-en", "-", *args], input=path.read_bytes(),
        capture_output=True, cwd="/",
    )  # fmt: skip
    assert done.stdout.decode() == expected != ""


def test_a_wav_that_is_still_being_recorded_is_heard_as_it_comes():
    """As `arecord -t wav - | edgestream listen -` writes it."""
    wav = bytearray(contained(noise(1), "wav"))
    wav[40:44] = b"\xff\xff\xff\x7f"
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as stream:
        os.write(write_fd, wav)  # and nothing more for now
        source = open_piped(stream, 8_000)
        blocks = iter(source)
        first = [next(blocks) for _ in range(20)]
        os.close(write_fd)
        rest = list(blocks)
    assert sum(len(block.samples) for block in first + rest) == RATE_HZ


REFUSED = {
    "mp4 (m4a)": b"\0\0\0\x20ftypM4A \0\0\0\0", "Matroska (mka, webm)": b"\x1aE\xdf\xa3\x01\0\0\0",
    "wma (asf)": b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "amr": b"#!AMR-WB\n", "wavpack": b"wvpk\0\0\0\0",
    "midi": b"MThd\0\0\0\x06\0\x01", "avi": b"RIFF\0\0\1\0AVI LIST", "gzip": b"\x1f\x8b\x08\0",
    "aac (adts)": 4 * (bytes.fromhex("fff150800cbffc") + bytes(94)), "zip": b"PK\x03\x04\x14\0",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("piece_bytes", [1, 4000])
def test_what_cannot_be_decoded_is_refused_by_name(name, piece_bytes, tmp_path):
    data = REFUSED[name] + bytes(3000)
    with Pipe(data, piece_bytes) as pipe, pytest.raises(SourceError) as caught:
        list(open_piped(pipe.stream, RATE_HZ))
    assert f"this is {name}" in str(caught.value)
    path = tmp_path / "speech"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        FileSource(path, pace=False)
    assert name in str(caught.value)


def test_a_damaged_file_in_a_pipe_is_one_line():
    for container in ("wav", "flac", "caf", "ogg"):
        data = contained(noise(1), container)[:30] + os.urandom(2000)
        with Pipe(data, 1000) as pipe, pytest.raises(SourceError) as caught:
            list(open_piped(pipe.stream, RATE_HZ))
        assert str(caught.value).startswith("stdin: ")


# Headers that say something else than there is.


@pytest.mark.parametrize("container", [*LINEAR, "flac"])
def test_a_cut_file_is_heard_to_its_end_and_the_rest_is_lost(container, tmp_path):
    path = tmp_path / "cut"
    data = contained(noise(4), container)
    path.write_bytes(data[: len(data) * 5 // 8])
    samples, lost, reasons = read(path)
    assert abs(len(samples) + lost - 4 * RATE_HZ) <= 2
    assert RATE_HZ < lost < 2.6 * RATE_HZ
    assert reasons == {"damaged file"}
    whole = tmp_path / "whole"
    whole.write_bytes(data)
    n_sure = len(samples) - 4096  # a frame of flac
    assert np.array_equal(samples[:n_sure], read(whole)[0][:n_sure])


@pytest.mark.parametrize("container", ["wav", "rf64", "au", "flac"])
def test_a_pipe_that_ends_early_has_lost_the_rest(container):
    data = contained(noise(4), container)
    samples, _, lost = piped(data[: len(data) * 5 // 8])
    assert abs(len(samples) + lost - 4 * RATE_HZ) <= (0 if container == "flac" else 2)


def test_a_cut_ogg_says_so(tmp_path):
    path = tmp_path / "cut.ogg"
    data = contained(noise(4), "ogg")
    path.write_bytes(data[: len(data) * 5 // 8])
    samples, lost, reasons = read(path)
    assert len(samples) > RATE_HZ
    assert lost >= 1  # nobody knows how much it was
    assert reasons == {"damaged file"}


def sized(container: str, size: int) -> bytes:
    """A file of one second whose header states `size` bytes of samples."""
    data = bytearray(contained(noise(1), container))
    if container == "wav":
        struct.pack_into("<I", data, 4, size and min(size + 36, 2**32 - 1))
        struct.pack_into("<I", data, 40, size)
    elif container == "rf64":
        struct.pack_into("<Q", data, 28, size)
    elif container == "w64":
        struct.pack_into("<Q", data, 96, size and size + 24)
    elif container == "au":
        struct.pack_into(">I", data, 8, size)
    elif container == "aiff":
        struct.pack_into(">I", data, 22, size // 2)
        struct.pack_into(">I", data, 42, size and size + 8)
    else:
        at = data.index(b"data")
        struct.pack_into(">q", data, at + 4, -1)
    return bytes(data)


@pytest.mark.parametrize("container", ["wav", "rf64", "w64", "au", "aiff", "caf"])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_size_that_nobody_filled_in_loses_nothing(container, size, tmp_path):
    if (container, size) in [("rf64", 0xFFFFFFFF), ("w64", 0xFFFFFFFF), ("w64", 0x7FFFFFFF),
                             ("rf64", 0x7FFFFFFF), ("aiff", 0xFFFFFFFF)]:  # fmt: skip
        return  # these can be real there, or nothing writes them
    expected = tmp_path / "right"
    expected.write_bytes(contained(noise(1), container))
    path = tmp_path / "odd"
    path.write_bytes(sized(container, size))
    samples, lost, _ = read(path)
    assert np.array_equal(samples[:RATE_HZ], read(expected)[0][:RATE_HZ])
    assert (lost, len(samples) - RATE_HZ < 3000) == (0, True)  # caf's may have a chunk behind


def test_a_size_that_is_too_small_loses_nothing_and_chunks_behind_are_no_sound(tmp_path):
    path = tmp_path / "speech.wav"
    path.write_bytes(sized("wav", 1000))
    assert len(read(path)[0]) == RATE_HZ
    chunk = b"LIST" + struct.pack("<I", 10) + b"INFOIABC12"
    path.write_bytes(contained(noise(1), "wav") + chunk)
    assert len(read(path)[0]) == RATE_HZ


def test_a_wav_above_4_gib_is_heard_to_its_end(tmp_path):
    """Its size is stated modulo 2**32; the file is sparse."""
    rate_hz, n_channels = 192_000, 8
    frame_bytes = 4 * n_channels
    n_frames = (2**32 + 400_000_000) // frame_bytes
    path = tmp_path / "long.wav"
    fmt = struct.pack("<HHIIHH", 1, n_channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 32)
    wrapped = n_frames * frame_bytes % 2**32
    tail = np.repeat((noise(1)[:1000] * 2**31).astype("<i4")[:, None], n_channels, axis=1)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", (wrapped + 36) % 2**32) + b"WAVEfmt ")
        file.write(struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", wrapped))
        file.seek((n_frames - 1000) * frame_bytes, os.SEEK_CUR)
        file.write(tail.tobytes())
    whole = FileSource(path, pace=False)
    assert whole.duration_ms == pytest.approx(1000 * n_frames / rate_hz)
    whole.close()
    source = FileSource(path, pace=False, start_s=(n_frames - 2000) / rate_hz)
    blocks = list(source)
    source.close()
    samples = np.concatenate([block.samples for block in blocks])
    assert len(samples) == 2000
    assert np.abs(samples[-1000:] - noise(1)[:1000]).max() < 1e-6
    assert not any(block.lost_samples for block in blocks)


@pytest.mark.parametrize("container", ["ogg", "mp3", "wav"])
def test_files_joined_end_to_end_are_heard_to_the_last(container, tmp_path):
    first, second = contained(noise(2, 1), container), contained(noise(3, 2), container)
    parts = []
    for n, data in enumerate((first, second)):
        (tmp_path / f"{n}").write_bytes(data)
        parts.append(read(tmp_path / f"{n}")[0])
    path = tmp_path / "joined"
    path.write_bytes(first + second)
    samples, lost, _ = read(path)
    assert lost == 0
    assert np.array_equal(samples, np.concatenate(parts))
    source = FileSource(path, pace=False, start_s=2.5)
    later = np.concatenate([block.samples for block in source])
    source.close()
    assert len(later) == pytest.approx(len(samples) - 2.5 * RATE_HZ, abs=1)


def test_blocks_of_a_joined_file_say_the_rate_of_their_part(tmp_path):
    second = io.BytesIO()
    soundfile.write(second, noise(3)[:24_000], 8_000, format="OGG")
    path, alone = tmp_path / "joined.ogg", tmp_path / "alone.ogg"
    path.write_bytes(contained(noise(2), "ogg") + second.getvalue())
    alone.write_bytes(second.getvalue())
    source = FileSource(path, pace=False)
    blocks = list(source)
    source.close()
    assert source.rate_hz == RATE_HZ
    assert not any(block.lost_samples for block in blocks)
    parts = {hz: [b.samples for b in blocks if b.rate_hz == hz] for hz in (RATE_HZ, 8_000)}
    assert sum(map(len, parts.values())) == len(blocks)
    assert sum(map(len, parts[RATE_HZ])) == 2 * RATE_HZ
    assert np.array_equal(np.concatenate(parts[8_000]), read(alone)[0])


def test_the_length_of_a_joined_file_is_found_once(tmp_path, monkeypatch):
    """Each link is opened for it: a server asks on a thread, and again where it must not wait."""
    path = tmp_path / "joined.ogg"
    path.write_bytes(3 * contained(noise(1), "ogg"))
    source = FileSource(path, pace=False, start_s=2.5)
    assert source.duration_ms == 500
    source.close()
    with path.open("rb") as file:
        sound = open_sound(file, "joined.ogg")
        monkeypatch.setattr(soundfile, "SoundFile", None)
        assert sound.n_frames == 3 * RATE_HZ
        sound.close()


def test_a_file_of_too_many_links_is_refused(tmp_path):
    path = tmp_path / "joined.ogg"
    path.write_bytes((MOST_LINKS + 1) * contained(noise(0.01), "ogg"))
    with pytest.raises(SourceError, match="1001 files joined end to end, at most 1000"):
        FileSource(path, pace=False)


# Damage within.


@pytest.fixture
def damaged(tmp_path):
    """A minute of mp3 with holes."""
    path = tmp_path / "damaged.mp3"
    soundfile.write(path, noise(60), RATE_HZ)
    data = bytearray(path.read_bytes())
    for at in range(2000, len(data) - 500, 900):
        data[at : at + 40] = os.urandom(40)
    path.write_bytes(data)
    return path


def test_damaged_frames_are_one_line_of_ours(damaged):
    done = run("listen", "-m", "synthetic-en", damaged, "--fast")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert "the file is damaged here" in lines[0]
    assert len(lines) <= 2  # and what was lost
    assert "mpg123" not in done.stderr


def test_damaged_frames_print_nothing_where_a_program_reads_them(damaged):
    code = (
        "import sys, edgestream as es; events = list(es.listen(sys.argv[1], fast=True,"
        " model='synthetic-en')); print([e.text for e in events if isinstance(e, es.Notice)])"
    )
    done = subprocess.run([sys.executable, "-c", code, damaged], capture_output=True, text=True)
    assert done.stdout.count("damaged") == 1
    assert done.stderr == ""


# What recorders, radios and encoders that write to pipes leave.


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610", "ULAW", "FLOAT"])
def test_a_wav_of_packets_through_a_pipe_is_heard_as_by_its_name(subtype, tmp_path):
    data = io.BytesIO()
    soundfile.write(data, noise(3), RATE_HZ, format="WAV", subtype=subtype)
    path = tmp_path / "speech.wav"
    for n_bytes in (len(data.getvalue()), len(data.getvalue()) * 2 // 3):
        path.write_bytes(data.getvalue()[:n_bytes])
        expected, lost, _ = read(path)
        samples, _, lost_in_pipe = piped(path.read_bytes(), 1000)
        assert np.array_equal(samples, expected)
        assert abs(lost - lost_in_pipe) <= 1


def test_a_flac_that_states_no_length_and_two_that_were_joined(tmp_path):
    flac = bytearray(contained(noise(2), "flac"))
    path = tmp_path / "joined.flac"
    path.write_bytes(bytes(flac) * 2)
    assert len(read(path)[0]) == 4 * RATE_HZ
    flac[21] &= 0xF0  # of the 36 bits of its length
    flac[22:26] = bytes(4)
    path.write_bytes(flac)
    samples, lost, _ = read(path)
    assert (len(samples), lost) == (2 * RATE_HZ, 0)
    assert len(piped(bytes(flac))[0]) == 2 * RATE_HZ


def test_an_mp3_that_begins_within_a_frame_is_heard_and_guesses_no_loss(tmp_path):
    mp3 = contained(noise(4), "mp3")[1000:]
    path = tmp_path / "radio.mp3"
    path.write_bytes(mp3)
    samples, lost, _ = read(path)
    assert (len(samples) > 3 * RATE_HZ, lost) == (True, 0)
    assert len(piped(mp3)[0]) == len(samples)


def test_an_ogg_that_was_cut_before_another_followed_says_so(tmp_path):
    ogg = contained(noise(3), "ogg")
    path = tmp_path / "joined.ogg"
    path.write_bytes(ogg[: len(ogg) // 2] + ogg)
    samples, lost, reasons = read(path)
    assert len(samples) > 3.5 * RATE_HZ
    assert (lost >= 1, reasons) == (True, {"damaged file"})


@pytest.mark.parametrize("n_bytes", [4, 13, 44])
def test_a_header_alone_in_a_pipe_is_one_line(n_bytes):
    with (
        Pipe(contained(noise(1), "wav")[:n_bytes], 100) as pipe,
        pytest.raises(SourceError, match="stdin: "),
    ):
        list(open_piped(pipe.stream, RATE_HZ))
