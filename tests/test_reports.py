# SPDX-License-Identifier: Apache-2.0
"""Public reports about similar programs, tried here; docs/reliability.md lists them."""

import fcntl
import io
import os
import struct
import subprocess
import time

import numpy as np
import pytest
import soundfile
from test_cli import COMMAND, SAMPLE, run
from test_outlets import SYNTHETIC, all_shown, with_a_terminal
from test_sound_files import RATE_HZ, Pipe, contained, noise, read
from test_video_file import write as write_video

from edgestream.sources.piped import open_piped
from edgestream.sources.video_file import VideoFileSource


@pytest.fixture(scope="module")
def speech():
    return soundfile.read(SAMPLE, frames=5 * RATE_HZ)[0]


def id3(n_bytes: int) -> bytes:
    size = bytes(n_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + size + np.random.default_rng(0).bytes(n_bytes)


def through_a_pipe(data: bytes) -> np.ndarray:
    with Pipe(data, 5000) as pipe:
        source = open_piped(pipe.stream, 8_000)
        blocks = [block.samples for block in source]
        source.close()
    return np.concatenate(blocks)


# 1. A flac behind an ID3 tag is taken for an mp3, or for nothing.
# 2. Zeros or a large picture before the first frame of an mp3: "Header missing".


@pytest.mark.parametrize("container", ["flac", "mp3"])
@pytest.mark.parametrize("n_bytes", [100, 300_000])
def test_a_tag_before_the_sound(container, n_bytes, tmp_path):
    plain, tagged = tmp_path / "plain", tmp_path / "tagged"
    plain.write_bytes(contained(noise(2), container))
    tagged.write_bytes(id3(n_bytes) + plain.read_bytes())
    expected = read(plain)[0]
    assert np.array_equal(read(tagged)[0], expected)
    assert np.array_equal(through_a_pipe(tagged.read_bytes()), expected)


def test_zeros_before_the_first_frame_of_an_mp3(tmp_path):
    plain, late = tmp_path / "plain", tmp_path / "late"
    plain.write_bytes(contained(noise(2), "mp3"))
    late.write_bytes(bytes(500) + plain.read_bytes())
    assert np.array_equal(read(late)[0], read(plain)[0])


# 3. Chunks before `fmt `, such as JUNK and bext, and chunks of odd sizes.


def test_chunks_of_recorders_before_the_format(tmp_path):
    def chunk(name: bytes, n_bytes: int) -> bytes:
        return name + struct.pack("<I", n_bytes) + bytes(n_bytes + n_bytes % 2)

    plain = contained(noise(1), "wav")
    odd = chunk(b"JUNK", 27) + chunk(b"bext", 602) + plain[12:36] + chunk(b"ID3 ", 300_001)
    data = b"RIFF" + struct.pack("<I", len(odd) + len(plain) - 32) + b"WAVE" + odd + plain[36:]
    path, expected = tmp_path / "odd.wav", tmp_path / "plain.wav"
    path.write_bytes(data)
    expected.write_bytes(plain)
    assert np.array_equal(read(path)[0], read(expected)[0])
    assert np.array_equal(through_a_pipe(data), read(expected)[0])


# 4. Healthy mp3s are called damaged by the decoder's own lines, and by tags behind the sound.


@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125), b"APETAGEX" + bytes(120)])
def test_a_healthy_mp3_is_not_called_damaged(tag, speech, tmp_path):
    path = tmp_path / "speech.mp3"
    soundfile.write(path, speech, RATE_HZ)
    path.write_bytes(path.read_bytes() + tag)
    done = run("listen", *SYNTHETIC, path, "--fast")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


# 5. A terminal that is not UTF-8: UnicodeEncodeError.


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_another_encoding(encoding, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    process, main = with_a_terminal("listen", *SYNTHETIC, SAMPLE, "--fast")
    shown = all_shown(main)
    assert process.wait() == 0
    assert b"Traceback" not in shown
    assert run("listen", *SYNTHETIC, SAMPLE, "--fast").stdout.splitlines()[0].encode() in shown


# 6. Somebody made the pipe of stdout non-blocking: BlockingIOError, captions lost.


def test_a_stdout_that_does_not_block_loses_nothing():
    args = ["listen", *SYNTHETIC, str(SAMPLE), "--fast", "--format", "jsonl"]
    expected = run(*args).stdout
    read_fd, write_fd = os.pipe()
    fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(write_fd, False)
    process = subprocess.Popen([*COMMAND, *args], stdout=write_fd, cwd="/")
    os.close(write_fd)
    time.sleep(2)  # the pipe is full by now, or will be
    with os.fdopen(read_fd, "rb") as stream:
        assert stream.read().decode() == expected
    assert process.wait() == 0
    assert len(expected) > 4096


# 7. The current folder was removed; stdout takes no more, in any command.


@pytest.mark.parametrize(
    ("args", "code"),
    [(f"listen -m synthetic-en {SAMPLE} --fast", 0), ("models list", 0), ("convert / -o new", 1),
     ("listen here.wav", 2), ("watch here.avi", 2)],
)  # fmt: skip
def test_a_current_folder_that_is_gone(args, code, tmp_path):
    gone = tmp_path / "gone"
    line = f"mkdir {gone}; cd {gone}; rmdir {gone}; exec {' '.join(COMMAND)} {args}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == (code > 0)


@pytest.mark.parametrize("args", ["--help", "models list", "models path tiny-watch", "doctor"])
def test_a_stdout_that_takes_no_more(args):
    with open("/dev/full", "w") as full:
        done = run(*args.split(), stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 1
    assert done.stderr == "edgestream: No space left on device\n"


# 8. A video of a telephone that was held upright lies on its side.


def test_a_video_that_says_it_is_turned_is_turned(tmp_path):
    path = write_video(tmp_path / "clip.mp4", "mp4v")
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # of version 0, the matrix
    struct.pack_into(">9i", data, at, 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data)
    source = VideoFileSource(path, pace=False)
    shapes = {picture.rgb.shape for picture in source}
    source.close()
    assert shapes == {(64, 48, 3)}


# 9. Sound of no, one or two samples.


@pytest.mark.parametrize("n_samples", [0, 1, 2, 3])
def test_sound_of_next_to_no_samples(n_samples, tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(n_samples), RATE_HZ)
    done = run("listen", *SYNTHETIC, path, "--fast")
    assert done.returncode == (0 if n_samples else 2)
    assert "Traceback" not in done.stderr


# 10. Pieces of 161, 51 and 13 bytes on stdin: a ValueError over half a sample.


def test_pieces_that_end_within_a_sample():
    data = (noise(1) * 32767).astype("<i2").tobytes()

    class Pieces(io.BytesIO):
        sizes = (161, 51, 13)
        n = 0

        def read(self, n_bytes: int | None = -1) -> bytes:
            self.n += 1
            return super().read(min(n_bytes or 0, self.sizes[self.n % 3]))

    whole = np.concatenate([b.samples for b in open_piped(io.BytesIO(data), RATE_HZ)])
    cut = np.concatenate([b.samples for b in open_piped(Pieces(data), RATE_HZ)])
    assert np.array_equal(cut, whole)
