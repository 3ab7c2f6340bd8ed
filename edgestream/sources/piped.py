# SPDX-License-Identifier: Apache-2.0
"""Standard input as a source: raw PCM, or a sound file, decoded as it comes where that can be."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from edgestream.errors import SourceError
from edgestream.sources.block import Block, Source
from edgestream.sources.pcm import ByteStream, PcmSource, refuse_kind
from edgestream.sources.sound import UNREADABLE, Sound
from edgestream.sources.sound_file import open_sound
from edgestream.sources.sound_kind import HEAD_BYTES, Kind, kind_of
from edgestream.sources.sound_parts import ENDLESS, ReadOnlyFile, find_parts, wave_format

KEPT_BYTES = 1 << 22  # of the beginning, where a decoder goes back to
READ_BYTES = 1 << 16
PLAIN = (1, 3, 6, 7, 0xFFFE)  # formats of WAVE in which each sample has its bytes
NAME = "stdin"


def open_piped(
    stream: BinaryIO, rate_hz: int, channels: int = 1, sample_format: str = "s16le"
) -> Source:
    """Raw PCM of this rate and form, or what a file's own header says, by the first bytes.

    Wav, au and flac are heard as they come; of other sound files the end has to come first: they
    are put into a temporary file until then. A file that stdin was redirected to is opened itself.

    Raises:
        SourceError: the bytes are a file of a kind that cannot be decoded, or cannot be read.
        UsageError: `rate_hz`, `channels` or `sample_format` is none.
    """
    raw = PcmSource(stream, rate_hz, channels, sample_format)  # refuses a terminal
    if (file := _redirected(stream)) is not None:
        kind = kind_of(file.read(HEAD_BYTES), ended=True)
        if kind and kind.decoded:
            return PipedSound(ByteStream(stream), file, kind)
        file.close()
        return raw
    data = ByteStream(stream)
    kind = data.kind()
    if not kind.decoded:
        refuse_kind(kind)
        return PcmSource(data, rate_hz, channels, sample_format)
    return PipedSound(data, None, kind)


class PipedSound:
    """A sound file out of a pipe, as a source."""

    live = False
    behind_ms = 0.0  # the writer waits for us

    def __init__(self, data: ByteStream, file: BinaryIO | None, kind: Kind) -> None:
        self._data = data
        self._file = file
        sound = _streamed(data, kind) if file is None and kind.streamed else None
        if sound is None or isinstance(sound, ForwardFile):
            self._file = file or _spooled(sound or data)
            sound = open_sound(self._file, NAME)
        self._sound = sound
        self.rate_hz = sound.rate_hz

    def __iter__(self) -> Iterator[Block]:
        heard = False
        for block in self._sound.blocks():
            if self._file is not None and self._data.stopped:
                return
            heard |= len(block.samples) > 0
            if not heard and block.lost_samples:
                break
            yield block
        if not heard and not self._data.stopped:
            raise SourceError(f"{NAME}: it ended before there was any sound")

    def stop(self) -> None:
        self._data.stopped = True

    def close(self) -> None:
        self._sound.close()
        if self._file is not None:
            self._file.close()


class ForwardFile(ReadOnlyFile):
    """A byte stream as a file of endless length; only its beginning can be gone back to."""

    def __init__(self, data: ByteStream) -> None:
        super().__init__(ENDLESS)
        self._data = data
        self._kept = bytearray()
        self._come = 0  # bytes that were read from the stream

    def readinto(self, buffer: Any) -> int:
        """Waits until the buffer is full, or the stream at its end: half a sample is none."""
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view):
            if self._at < self._come:
                data = bytes(self._kept[self._at : self._at + len(view) - done])
                if not data:
                    raise OSError("a pipe cannot be gone back in")
            else:
                gap = self._at - self._come
                data = self._data.read(min(gap, READ_BYTES) if gap else len(view) - done)
                if not data:
                    break
                self._come += len(data)
                self._kept += data[: max(0, KEPT_BYTES - len(self._kept))]
                if gap:
                    continue
            view[done : done + len(data)] = data
            done += len(data)
            self._at += len(data)
        return done


def _redirected(stream: BinaryIO) -> BinaryIO | None:
    """The file that stdin is, of which nothing was read; None if it is something else."""
    try:
        fd = stream.fileno()
        if not stat.S_ISREG(os.fstat(fd).st_mode) or os.lseek(fd, 0, os.SEEK_CUR) != 0:
            return None
        return os.fdopen(os.open(f"/dev/fd/{fd}", os.O_RDONLY), "rb")
    except (OSError, ValueError):
        return None


def _spooled(data: ByteStream | ForwardFile) -> BinaryIO:
    """All bytes of the stream in a file that has no name."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the source closes it
    try:
        while piece := data.read(READ_BYTES):
            file.write(piece)
        file.flush()
    except OSError as error:
        raise SourceError(f"{NAME}: cannot be put aside: {error.strerror}") from None
    file.seek(0)
    return cast(BinaryIO, file)


def _streamed(data: ByteStream, kind: Kind) -> Sound | ForwardFile:
    """The sound as it comes; or the file, to be put aside, where samples come in packets."""
    forward = ForwardFile(data)
    file = cast(BinaryIO, forward)
    try:
        parts = find_parts(file, ENDLESS)
        if kind.name == "wav" and parts[0].head and wave_format(parts[0].head) not in PLAIN:
            forward.seek(0)
            return forward
        return Sound(file, parts, NAME)
    except UNREADABLE:
        raise SourceError(
            f"{NAME}: a {kind.name} file that is damaged or of no known form"
        ) from None
