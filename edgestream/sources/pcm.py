# SPDX-License-Identifier: Apache-2.0
"""Raw PCM from a pipe as a source."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from typing import BinaryIO

from edgestream.errors import SourceError, UsageError
from edgestream.sources.block import BLOCK_MS, Block, check_rate
from edgestream.sources.pcm_decoder import PcmDecoder
from edgestream.sources.sample_formats import SampleFormat
from edgestream.sources.sound_kind import HEAD_BYTES, Kind, kind_of

STOP_POLL_MS = 100  # how long a silent pipe may delay stop()


def standard_input() -> BinaryIO:
    """The bytes of stdin. Raises SourceError where it is closed."""
    if sys.stdin is None:
        raise SourceError("stdin is closed; pipe raw PCM into it or name an audio file")
    return sys.stdin.buffer


class ByteStream:
    """The bytes of a pipe, file or buffer as soon as they are there; `stop()` ends a wait for them.

    With a file descriptor it is read directly, so nothing may have been read through a buffer
    before. Raises SourceError when it cannot be read.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._returned = b""
        self.stopped = False  # a lock here could hang a signal handler that stops us

    def read(self, n_bytes: int) -> bytes:
        """The next bytes, as many as there are, at most `n_bytes`; b"" at the end or after stop."""
        if self._returned:
            data, self._returned = self._returned[:n_bytes], self._returned[n_bytes:]
            return data
        try:
            return self._read_descriptor(self._stream.fileno(), n_bytes)
        except OSError as error:
            if error.errno is not None:
                raise SourceError(f"stdin: cannot be read: {error.strerror}") from None
        # No descriptor behind it (BytesIO raises an OSError without a number).
        return b"" if self.stopped else self._stream.read(n_bytes)

    def kind(self) -> Kind:
        """What the bytes are, by as many of the first as it takes; they can be read after it."""
        head, kind = b"", None
        while kind is None:
            data = self.read(HEAD_BYTES - len(head))
            head += data
            kind = kind_of(head, ended=not data)
        self._returned = head + self._returned
        return kind

    def _read_descriptor(self, fd: int, n_bytes: int) -> bytes:
        if hasattr(select, "poll"):  # on Windows a read simply blocks
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            while not self.stopped and not poll.poll(STOP_POLL_MS):
                pass
        return b"" if self.stopped else os.read(fd, n_bytes)


class PcmSource:
    """Raw PCM from a byte stream such as `sys.stdin.buffer`; a Block as soon as bytes are there.

    Frames cut by a read are carried; half a frame at the end is dropped. SourceError when it cannot
    be read (see ByteStream), holds no sample at all, or turns out to be a file of some kind, which
    `piped.open_piped` takes.
    """

    live = False
    behind_ms = 0.0  # the writer waits for us: a pipe has no clock to be behind of

    def __init__(
        self,
        stream: BinaryIO | ByteStream,
        rate_hz: int,
        channels: int = 1,
        sample_format: str = "s16le",
    ) -> None:
        known = [form.value for form in SampleFormat]
        if sample_format not in known:
            raise UsageError(
                f"sample format '{sample_format}' is not known; use {', '.join(known)}"
            )
        check_rate(rate_hz, channels, "stdin")
        if not isinstance(stream, ByteStream) and stream.isatty():
            raise SourceError(
                "stdin is a terminal; pipe raw PCM into it, for example "
                f"ffmpeg -i talk.mp4 -f {sample_format} -ac {channels} -ar {rate_hz} - | "
                "edgestream listen -"
            )
        self.rate_hz = int(rate_hz)
        self._bytes = stream if isinstance(stream, ByteStream) else ByteStream(stream)
        self._channels = channels
        self._form = SampleFormat(sample_format)

    def __iter__(self) -> Iterator[Block]:
        decoder, heard = PcmDecoder(self._form, self._channels, self.rate_hz), False
        read_bytes = decoder.frame_bytes * max(1, self.rate_hz * BLOCK_MS // 1000)
        refuse_kind(self._bytes.kind())
        while data := self._bytes.read(read_bytes):
            mono = decoder.push(data)
            notice = decoder.take_notice()
            heard = heard or len(mono) > 0
            if len(mono) or notice:
                yield Block(mono, notice=notice)
        if len(rest := decoder.finish()):
            heard = True
            yield Block(rest)
        if not heard and not self._bytes.stopped:
            raise SourceError(
                "stdin: it ended before there was any sound; look at what should feed the pipe"
            )

    def stop(self) -> None:
        self._bytes.stopped = True

    def close(self) -> None:
        """Does nothing: the stream belongs to the caller."""


def refuse_kind(kind: Kind) -> None:
    """Raises SourceError for bytes that are a file of some kind and no samples."""
    if kind.decoded:
        raise SourceError(
            f"stdin: this is a {kind.name} file, not raw PCM; give the file's name instead of '-'"
        )
    if kind.name:
        raise SourceError(
            f"stdin: this is {kind.name}, not sound that can be read; decode it: "
            "ffmpeg -i FILE -f s16le -ac 1 -ar 16000 - | edgestream listen -"
        )
