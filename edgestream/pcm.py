# SPDX-License-Identifier: Apache-2.0
"""Raw PCM from a pipe as a source."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from edgestream.errors import SourceError, UsageError
from edgestream.source import BLOCK_MS, Block, check_rate, to_mono

STOP_POLL_MS = 100  # how long a silent pipe may delay stop()


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one PCM value lies in memory."""

    dtype: str
    n_bytes: int
    full_scale: float
    offset: float = 0.0


# Named as ffmpeg names them.
SAMPLE_FORMATS = {
    "u8": _Layout("u1", 1, 2.0**7, 2.0**7),
    "s16le": _Layout("<i2", 2, 2.0**15),
    "s16be": _Layout(">i2", 2, 2.0**15),
    "s24le": _Layout("<i4", 3, 2.0**31),  # widened to the upper three bytes of an int32
    "s24be": _Layout(">i4", 3, 2.0**31),
    "s32le": _Layout("<i4", 4, 2.0**31),
    "s32be": _Layout(">i4", 4, 2.0**31),
    "f32le": _Layout("<f4", 4, 1.0),
    "f32be": _Layout(">f4", 4, 1.0),
}
CONTAINER_MAGIC = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"ID3": "mp3"}


def standard_input() -> BinaryIO:
    """The bytes of stdin. Raises SourceError where it is closed."""
    if sys.stdin is None:
        raise SourceError("stdin is closed; pipe raw PCM into it or name an audio file")
    return sys.stdin.buffer


class PcmSource:
    """Raw PCM from a byte stream such as `sys.stdin.buffer`; a Block as soon as bytes are there.

    With a file descriptor it is read directly, so nothing may have been read through a buffer
    before. Frames cut by a read are carried; half a frame at the end is dropped. SourceError when
    it cannot be read, holds no sample at all, or turns out to be a wav, flac, ogg or mp3 file.
    """

    live = False
    behind_ms = 0.0  # the writer waits for us: a pipe has no clock to be behind of

    def __init__(
        self, stream: BinaryIO, rate_hz: int, channels: int = 1, sample_format: str = "s16le"
    ) -> None:
        if sample_format not in SAMPLE_FORMATS:
            raise UsageError(
                f"sample format '{sample_format}' is not known; use {', '.join(SAMPLE_FORMATS)}"
            )
        check_rate(rate_hz, channels, "stdin")
        if stream.isatty():
            raise SourceError(
                "stdin is a terminal; pipe raw PCM into it, for example "
                f"ffmpeg -i talk.mp4 -f {sample_format} -ac {channels} -ar {rate_hz} - | "
                "edgestream listen -"
            )
        self.rate_hz = rate_hz
        self._stream = stream
        self._channels = channels
        self._layout = SAMPLE_FORMATS[sample_format]
        self._stopped = False  # a lock here could hang a signal handler that stops us
        self._carry = b""  # less than one frame

    def __iter__(self) -> Iterator[Block]:
        frame_bytes = self._layout.n_bytes * self._channels
        read_bytes = frame_bytes * max(1, self.rate_hz * BLOCK_MS // 1000)
        heard = False
        while data := self._read(read_bytes):
            if not heard:
                _refuse_container(data)
            data = self._carry + data
            whole = len(data) - len(data) % frame_bytes
            self._carry = data[whole:]
            if whole:
                heard = True
                yield Block(to_mono(self._decode(data[:whole])))
        if not heard and not self._stopped:
            raise SourceError(
                "stdin: it ended before there was any sound; look at what should feed the pipe"
            )

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        """Does nothing: the stream belongs to the caller."""

    def _read(self, n_bytes: int) -> bytes:
        """The next bytes as soon as there are any, b"" at the end or after stop()."""
        try:
            return self._read_descriptor(self._stream.fileno(), n_bytes)
        except OSError as error:
            if error.errno is not None:
                raise SourceError(f"stdin: cannot be read: {error.strerror}") from None
        # No descriptor behind it (BytesIO raises an OSError without a number).
        return b"" if self._stopped else self._stream.read(n_bytes)

    def _read_descriptor(self, fd: int, n_bytes: int) -> bytes:
        if hasattr(select, "poll"):  # on Windows a read simply blocks
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            while not self._stopped and not poll.poll(STOP_POLL_MS):
                pass
        return b"" if self._stopped else os.read(fd, n_bytes)

    def _decode(self, data: bytes) -> npt.NDArray[np.float32]:
        layout = self._layout
        if layout.n_bytes == 3:
            narrow = np.frombuffer(data, np.uint8).reshape(-1, 3)
            wide = np.zeros((len(narrow), 4), np.uint8)
            wide[:, slice(1, 4) if layout.dtype == "<i4" else slice(0, 3)] = narrow
            data = wide.tobytes()
        with np.errstate(invalid="ignore"):  # not-a-number may come in; it becomes silence later
            values = np.frombuffer(data, layout.dtype).astype(np.float32)
            values = (values - np.float32(layout.offset)) / np.float32(layout.full_scale)
        return values.reshape(-1, self._channels)


def _refuse_container(data: bytes) -> None:
    for magic, name in CONTAINER_MAGIC.items():
        if data.startswith(magic):
            raise SourceError(
                f"stdin: this is a {name} file, not raw PCM; give the file's name instead of '-'"
            )
