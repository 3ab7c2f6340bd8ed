# SPDX-License-Identifier: Apache-2.0
"""Where samples come from: an iterator of Blocks on one clock. Files live here."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from edgestream.errors import SourceError, UsageError

Samples = npt.NDArray[np.float32]

BLOCK_MS = 40  # half a model step: short enough not to add delay, long enough to be cheap
MIN_RATE_HZ = 1_000  # below this no speech is left
MAX_RATE_HZ = 768_000  # the fastest audio hardware sold; beyond it a header is damaged
HEADER_SLACK_MS = 100  # an mp3 header counts whole coder frames, padding included
MAX_CHANNELS = 1_024  # libsndfile's own limit


@dataclass(frozen=True, slots=True)
class Block:
    """`samples`: float32 mono [n] in [-1, 1]. `lost_samples` were lost just before them.

    `notice` is what is odd about the input from here on, for whoever can mend it.
    """

    samples: Samples
    lost_samples: int = 0
    reason: str = ""
    notice: str = ""


class Source(Protocol):
    """Iterate once over its Blocks; `stop()` from any thread or signal handler ends that soon.

    `live` sources go on at the world's pace; `behind_ms` is how far the reader is behind it.
    """

    live: bool

    @property
    def rate_hz(self) -> int: ...

    @property
    def behind_ms(self) -> float: ...

    def __iter__(self) -> Iterator[Block]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


def whole_rate(rate_hz: object, what: str) -> int:
    """The rate in Hz as an int; raises UsageError on what is no rate that sound can have."""
    number = isinstance(rate_hz, (int, float, np.integer, np.floating))
    if not number or isinstance(rate_hz, bool) or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:  # type: ignore[operator]
        raise UsageError(
            f"{what}: a rate of {rate_hz!r:.40} Hz cannot be used; "
            f"it must lie between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz"
        )
    if rate_hz != int(rate_hz):  # type: ignore[call-overload]
        raise UsageError(f"{what}: a rate of {rate_hz} Hz is no whole number")
    return int(rate_hz)  # type: ignore[call-overload, no-any-return]


def check_rate(rate_hz: int, channels: int, what: str) -> None:
    """Raise UsageError unless rate (Hz) and channel count are ones that sound can have."""
    whole_rate(rate_hz, what)
    if not 1 <= channels <= MAX_CHANNELS:
        raise UsageError(f"{what}: {channels} channels; there must be 1 to {MAX_CHANNELS}")


def to_mono(frames: npt.NDArray[np.float32]) -> Samples:
    """Mean over channels of float32 [n, channels], NaN as silence, limited to [-1, 1]; [n]."""
    mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    clean = np.nan_to_num(mono, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.ascontiguousarray(np.clip(clean, -1.0, 1.0), dtype=np.float32)


class FileSource:
    """A wav, flac, ogg or mp3 file, read in blocks; with `pace` no faster than it was spoken.

    Late readers lose nothing: the next block comes at once and `behind_ms` says how late.
    Raises SourceError for anything that is not readable audio.
    """

    live = False

    def __init__(self, path: str | os.PathLike[str], *, pace: bool, start_s: float = 0.0) -> None:
        self._name = os.fspath(path)
        self._pace = pace
        self._stopped = False  # a lock here could hang a signal handler that stops us
        self._begun_s: float | None = None  # monotonic clock at the first sample
        self._behind_s = 0.0
        self._handle = _open_regular(Path(path))
        try:
            self._file = _open_audio(self._handle, self._name)
            self._start_frame = self._seek(start_s)
        except BaseException:
            self._handle.close()
            raise

    @property
    def rate_hz(self) -> int:
        return int(self._file.samplerate)

    @property
    def duration_ms(self) -> float:
        """Length from `start_s` to the end, as the header states it."""
        return float(self._file.frames - self._start_frame) * 1000.0 / self.rate_hz

    @property
    def behind_ms(self) -> float:
        return self._behind_s * 1000.0

    def __iter__(self) -> Iterator[Block]:
        block_frames = max(1, self.rate_hz * BLOCK_MS // 1000)
        read_frames = 0
        while not self._stopped:
            frames = self._read(block_frames)
            if len(frames) == 0:
                yield from self._rest_lost(read_frames)
                return
            read_frames += len(frames)
            self._wait_until_spoken(read_frames)
            yield Block(to_mono(frames))

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._file.close()
        self._handle.close()

    def _seek(self, start_s: float) -> int:
        start_frame = round(start_s * self.rate_hz)
        if not 0 <= start_frame < self._file.frames:
            raise SourceError(
                f"{self._name}: cannot start at {start_s:g} s, "
                f"it is {self._file.frames / self.rate_hz:g} s long"
            )
        if start_frame:
            self._file.seek(start_frame)
        return start_frame

    def _wait_until_spoken(self, read_frames: int) -> None:
        if not self._pace:
            return
        now_s = time.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
        due_s = self._begun_s + read_frames / self.rate_hz
        self._behind_s = max(0.0, now_s - due_s)
        time.sleep(max(0.0, due_s - now_s))

    def _read(self, n_frames: int) -> npt.NDArray[np.float32]:
        try:
            frames = self._file.read(n_frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError):  # damage ends the file here
            frames = []
        return np.asarray(frames, np.float32)

    def _rest_lost(self, read_frames: int) -> Iterator[Block]:
        missing = self._file.frames - self._start_frame - read_frames
        if missing * 1000 > HEADER_SLACK_MS * self.rate_hz:
            yield Block(np.zeros(0, np.float32), missing, "damaged file")


def _open_regular(path: Path) -> BinaryIO:
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise SourceError(f"{path}: is a directory; name one audio file")
        if not stat.S_ISREG(found.st_mode):
            raise SourceError(f"{path}: not a regular file; give raw PCM on stdin with '-' instead")
        if found.st_size == 0:
            raise SourceError(f"{path}: the file is empty")
        return path.open("rb")
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:  # a null in it
        raise SourceError(f"{path}: not the name of a file") from None


def _open_audio(handle: BinaryIO, name: str) -> Any:
    try:
        file = soundfile.SoundFile(handle)
    except (soundfile.SoundFileError, TypeError):  # a name in .raw makes it ask for a rate
        raise SourceError(
            f"{name}: not audio that can be read; give wav, flac, ogg or mp3 "
            f"(for others: ffmpeg -i {name} speech.wav)"
        ) from None
    try:
        if file.frames <= 0:
            raise SourceError(f"{name}: there is no sound in it (0 samples)")
        check_rate(file.samplerate, file.channels, name)
    except UsageError:
        file.close()
        raise
    return file
