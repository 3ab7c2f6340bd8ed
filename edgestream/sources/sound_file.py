# SPDX-License-Identifier: Apache-2.0
"""A sound file as a source, and how one is opened."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import soundfile

from edgestream.errors import SourceError
from edgestream.sources.block import Block
from edgestream.sources.chained import FINDERS, find_links
from edgestream.sources.sound import MAX_FRAMES, UNREADABLE, Sound
from edgestream.sources.sound_kind import HEAD_BYTES, SAMPLES, kind_of
from edgestream.sources.sound_parts import find_parts
from edgestream.system.checks import finite
from edgestream.system.noise import caught

MOST_LINKS = 1000  # files that were joined to one; each is opened for its length


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
        spoken_s = 0.0
        for block in self._sound.blocks():
            if self._stopped:
                return
            spoken_s += len(block.samples) / (block.rate_hz or self.rate_hz)
            self._wait_until_spoken(spoken_s)
            yield block

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

    def _wait_until_spoken(self, spoken_s: float) -> None:
        if not self._pace:
            return
        now_s = time.monotonic()
        if self._begun_s is None:
            self._begun_s = now_s
        due_s = self._begun_s + spoken_s
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


def stated_ms(path: Path) -> float:
    """Length of a sound file as its header states it, at a glance; 0 if there is none or no sound.

    Other than FileSource it does not look at the rest of the file, which may be long.
    """
    try:
        with _open_regular(path) as handle, caught(), soundfile.SoundFile(handle) as file:
            known = file.frames < MAX_FRAMES
            return 1000.0 * file.frames / file.samplerate if known and file.samplerate else 0.0
    except (SourceError, *UNREADABLE):
        return 0.0


def open_sound(handle: BinaryIO, name: str) -> Sound:
    """The sound of an open file, all of its parts; raises SourceError on what is none."""
    size = os.fstat(handle.fileno()).st_size
    kind = kind_of(handle.read(HEAD_BYTES), ended=True) or SAMPLES
    chained = find_links(handle, kind.name) if kind.name in FINDERS else []
    if len(chained) > MOST_LINKS:
        raise SourceError(
            f"{name}: {len(chained)} files joined end to end, at most {MOST_LINKS} are read;"
            f" join them anew (ffmpeg -i {name} speech.wav)"
        )
    parts = chained or find_parts(handle, size)
    try:
        sound = Sound(handle, parts, name)
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
