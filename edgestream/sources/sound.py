# SPDX-License-Identifier: Apache-2.0
"""A sound file decoded to one channel, part by part, and what it lacks counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np
import soundfile

from edgestream.sources.block import BLOCK_MS, Block, Samples, check_rate
from edgestream.sources.channels import Downmix
from edgestream.sources.sound_parts import ENDLESS, Part, PartFile
from edgestream.system.noise import Caught, caught

DAMAGED = "damaged file"
BROKEN = "the file is damaged here: some of the sound may be wrong or missing"
DAMAGE = re.compile(rb"resync")  # of libmpg123, which calls much "error" that is none
HEADER_SLACK_MS = 100  # an mp3 header counts whole coder frames, padding included
UNREADABLE = (
    soundfile.SoundFileError,
    OSError,
    TypeError,
)  # a name in .raw makes it ask for a rate
MAX_FRAMES = 1 << 36  # that a flac can state; others say so that they do not know
MOST_VALUES = 1 << 20  # of a block, all channels counted: a header may claim a thousand of them
NOTHING = np.zeros(0, np.float32)


class Sound:
    """Decodes the parts of `handle`, mixed to one channel; a block says the rate of its part.

    Raises one of UNREADABLE where the first part is no sound, and UsageError, with `name`, on a
    rate or number of channels that cannot be.
    """

    def __init__(self, handle: BinaryIO, parts: list[Part], name: str) -> None:
        self._handle, self._parts, self._name = handle, parts, name
        first = parts[0]
        alone = len(parts) == 1 and not (first.head or first.start) and first.end < ENDLESS
        self._whole = first if alone else None  # which needs no window
        self._file = self._open(parts[0])
        self.rate_hz = int(self._file.samplerate)
        self._skip = 0  # frames of the first part, once `seek` was called

    @cached_property
    def n_frames(self) -> int:
        """Length at `rate_hz`, as headers state it; 0 if that is not known.

        Ask before `seek`. The first time each part is opened, which may take seconds.
        """
        if self._parts[-1].end >= ENDLESS:
            return 0
        total = float(self._stated(self._file, self._parts[0]))
        for part in self._parts[1:]:
            try:
                with self._open(part) as file:
                    total += self._stated(file, part) * self.rate_hz / file.samplerate
            except UNREADABLE:
                continue
        return round(total)

    @property
    def is_endless(self) -> bool:
        """Whether the first part's header does not state a length."""
        return self._stated(self._file, self._parts[0]) == 0 and self._file.frames > 0

    def seek(self, frame: int) -> None:
        """Begins at this frame; call it before the first block."""
        while len(self._parts) > 1 and frame >= self._stated(self._file, self._parts[0]):
            frame -= self._stated(self._file, self._parts[0])
            self._file.close()
            self._parts = self._parts[1:]
            self._file = self._open(self._parts[0])
        self._skip = min(frame, int(self._file.frames))
        self._file.seek(self._skip)

    def blocks(self) -> Iterator[Block]:
        """All of the sound; a block has up to BLOCK_MS of it."""
        for n, part in enumerate(self._parts):
            try:
                file = self._file if n == 0 else self._open(part)
            except UNREADABLE:
                yield Block(NOTHING, 1, DAMAGED)
                continue
            with file:
                yield from self._decoded(file, part, self._skip if n == 0 else 0)

    def close(self) -> None:
        """Lets go of the decoder, not of the handle."""
        self._file.close()

    def _open(self, part: Part) -> Any:
        whole = part is self._whole
        if whole:
            self._handle.seek(0)
        with caught():
            file = soundfile.SoundFile(self._handle if whole else PartFile(self._handle, part))
        try:
            check_rate(file.samplerate, file.channels, self._name)
        except BaseException:
            file.close()
            raise
        return file

    def _decoded(self, file: Any, part: Part, n_read: int) -> Iterator[Block]:
        rate_hz = int(file.samplerate)
        mix = Downmix(file.channels, rate_hz)
        n_frames = max(1, min(rate_hz * BLOCK_MS // 1000, MOST_VALUES // file.channels))
        told = False
        while True:
            frames, noisy = _read(file, n_frames)
            last = len(frames) == 0
            n_read += len(frames)
            mono = mix.finish() if last else mix.push(frames)
            notice = mix.take_notice() or (BROKEN if noisy and not told else "")
            told |= noisy
            if len(mono) or notice:
                yield Block(mono, notice=notice, rate_hz=rate_hz)
            if last:
                break
        missing = self._stated(file, part) - n_read
        if missing * 1000 > HEADER_SLACK_MS * rate_hz and not part.guessed:
            yield Block(NOTHING, missing, DAMAGED, rate_hz=rate_hz)
        elif part.cut:  # nobody knows how much
            yield Block(NOTHING, 1, DAMAGED)

    def _stated(self, file: Any, part: Part) -> int:
        """Frames that the part should have."""
        n_frames = int(file.frames)
        if n_frames >= MAX_FRAMES or (part.end >= ENDLESS and part.head):
            return 0  # a flac out of a pipe may state it
        n_bytes = max(1, part.end - part.start)
        return n_frames + round(n_frames * part.missing / n_bytes)


def _read(file: Any, n_frames: int) -> tuple[Samples, bool]:
    """The next frames, and whether the decoder complained."""
    noise: Any = caught() if file.format == "MP3" else nullcontext(Caught())
    out = np.full((n_frames, file.channels), np.nan, np.float32)
    with noise as said:
        try:
            frames: Samples = file.read(out=out)
        except (soundfile.SoundFileError, OSError):  # damage ends the part behind what was decoded
            frames = out[: np.append(np.isnan(out).all(axis=1), True).argmax()]
    return frames, any(DAMAGE.search(line) for line in said.lines)
