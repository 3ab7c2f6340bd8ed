# SPDX-License-Identifier: Apache-2.0
"""Where samples come from: an iterator of Blocks on one clock. Files live here."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from edgestream.errors import SourceError, UsageError
from edgestream.sources.chained import FINDERS, find_links
from edgestream.sources.channels import Samples as Samples  # what a Block holds
from edgestream.sources.sound import MAX_FRAMES, UNREADABLE, Sound
from edgestream.sources.sound_kind import HEAD_BYTES, SAMPLES, kind_of
from edgestream.sources.sound_parts import find_parts
from edgestream.system.checks import finite

BLOCK_MS = 40  # half a model step: short enough not to add delay, long enough to be cheap
MIN_RATE_HZ = 1_000  # below this no speech is left
MAX_RATE_HZ = 768_000  # the fastest audio hardware sold; beyond it a header is damaged
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
    found = finite(rate_hz, f"{what}: a rate", "pass Hz")
    if not MIN_RATE_HZ <= found <= MAX_RATE_HZ or found != int(found):
        raise UsageError(
            f"{what}: a rate of {found:.12g} Hz cannot be used; it must be a whole number "
            f"between {MIN_RATE_HZ} and {MAX_RATE_HZ} Hz"
        )
    return int(found)


def check_rate(rate_hz: int, channels: int, what: str) -> None:
    """Raise UsageError unless rate (Hz) and channel count are ones that sound can have."""
    whole_rate(rate_hz, what)
    found = finite(channels, f"{what}: channels", f"there must be 1 to {MAX_CHANNELS}")
    if not 1 <= found <= MAX_CHANNELS or found != int(found):
        raise UsageError(f"{what}: {channels} channels; there must be 1 to {MAX_CHANNELS}")


class FileSource:
    """A wav, flac, ogg, mp3 or other sound file; with `pace` no faster than it was spoken.

    What the file lacks by its own account is lost_samples of its blocks. Late readers lose nothing:
    the next block comes at once and `behind_ms` says how late. Raises SourceError for anything that
    is not readable audio.
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
            self._sound = open_sound(self._handle, self._name)
            self._start_frame = self._seek(start_s)
        except BaseException:
            self._handle.close()
            raise

    @property
    def rate_hz(self) -> int:
        return self._sound.rate_hz

    @property
    def duration_ms(self) -> float:
        """Length from `start_s` to the end, as the header states it; 0 where it does not."""
        return max(0.0, (self._sound.n_frames - self._start_frame) * 1000.0 / self.rate_hz)

    @property
    def behind_ms(self) -> float:
        return self._behind_s * 1000.0

    def __iter__(self) -> Iterator[Block]:
        n_read = 0
        for piece in self._sound.pieces(BLOCK_MS):
            if self._stopped:
                return
            n_read += len(piece.samples)
            self._wait_until_spoken(n_read)
            yield Block(piece.samples, piece.lost_samples, piece.reason, piece.notice)

    def stop(self) -> None:
        self._stopped = True

    def close(self) -> None:
        self._sound.close()
        self._handle.close()

    def _seek(self, start_s: float) -> int:
        start_s = finite(start_s, f"{self._name}: start_s", "pass seconds")
        n_frames, start_frame = self._sound.n_frames, round(start_s * self.rate_hz)
        n_frames = MAX_FRAMES if self._sound.is_endless else n_frames
        if not 0 <= start_frame < n_frames:
            raise SourceError(
                f"{self._name}: cannot start at {start_s:g} s, "
                f"it is {n_frames / self.rate_hz:g} s long"
            )
        if start_frame:
            self._sound.seek(start_frame)
        return start_frame

    def _wait_until_spoken(self, n_read: int) -> None:
        if not self._pace:
            return
        now_s = time.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
        due_s = self._begun_s + n_read / self.rate_hz
        self._behind_s = max(0.0, now_s - due_s)
        time.sleep(max(0.0, due_s - now_s))


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


def open_sound(handle: BinaryIO, name: str) -> Sound:
    """The sound of an open file, all of its parts; raises SourceError on what is none."""
    size = os.fstat(handle.fileno()).st_size
    kind = kind_of(handle.read(HEAD_BYTES), ended=True) or SAMPLES
    chained = find_links(handle, kind.name) if kind.name in FINDERS else []
    parts = chained or find_parts(handle, size)
    try:
        sound = Sound(handle, parts, lambda rate_hz, channels: check_rate(rate_hz, channels, name))
    except UNREADABLE:
        it_is = f" (a {kind.name} file, damaged?)" if kind.decoded else ""
        it_is = f" ({kind.name})" if kind.name and not kind.decoded else it_is
        raise SourceError(
            f"{name}: not audio that can be read{it_is}; give wav, flac, ogg or mp3 "
            f"(for others: ffmpeg -i {name} speech.wav)"
        ) from None
    if sound.n_frames <= 0 and not sound.is_endless:
        sound.close()
        raise SourceError(f"{name}: there is no sound in it (0 samples)")
    return sound
