# SPDX-License-Identifier: Apache-2.0
"""Hours of mixed sound, the same for the same seed: people speak, pause, and make noise.

Example: `Programme(hours=6, seed=1).read(0, 16_000)` is the first second, as bytes of PCM. Nothing
is kept but a plan, so any stretch can be read again, as a client must after a lost connection.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile

from edgestream.data import DATA
from edgestream.sources.block import Samples

RATE_HZ = 16_000
BYTES = 2  # of a sample
ROOT = Path(__file__).resolve().parents[2]
PEOPLE = sorted((DATA / "bench" / "people").glob("*.flac"))
VOICES = sorted((ROOT / "tests" / "data").glob("*.flac"))  # synthetic ones
NOISES = sorted((DATA / "bench" / "noises").glob("*.flac"))
SPOKEN = [DATA / "person.flac", *PEOPLE, *VOICES]
LEAST_PAUSE_S = 0.3
LOUD_NOISE, SOFT_NOISE = 0.5, 0.03  # how much of a recording's level


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the programme. `start` and `n` in samples; without a path it is silence."""

    start: int
    n: int
    path: Path | None
    noise: Path | None  # under it, softly
    gain: float


class Programme:
    """16 kHz, mono, s16le. `speech` is the share of the time in which somebody speaks."""

    def __init__(self, hours: float, seed: int, speech: float = 0.2) -> None:
        self.n_samples = round(hours * 3600 * RATE_HZ)
        self._pieces: list[Piece] = []
        dice, at = random.Random(seed), 0
        while at < self.n_samples:
            for piece in _turn(dice, at, speech):
                self._pieces.append(piece)
                at = piece.start + piece.n
        self._starts = [piece.start for piece in self._pieces]

    @property
    def n_bytes(self) -> int:
        """Of all of it."""
        return self.n_samples * BYTES

    def read(self, at: int, n: int) -> bytes:
        """`n` bytes from byte `at` on; fewer at the end. Both may be odd."""
        end = min(at + n, self.n_bytes)
        if end <= at:
            return b""
        first, last = at // BYTES, -(-end // BYTES)
        data = self._samples(first, last).tobytes()
        return data[at - first * BYTES : end - first * BYTES]

    def _samples(self, first: int, last: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        parts, at = [], first
        index = bisect_right(self._starts, first) - 1
        while at < last:
            piece = self._pieces[index]
            end = min(last, piece.start + piece.n)
            parts.append(_sound(piece)[at - piece.start : end - piece.start])
            at, index = end, index + 1
        return np.concatenate(parts)


def _turn(dice: random.Random, at: int, speech: float) -> list[Piece]:
    """Somebody speaks, then nobody does; now and then something makes a noise meanwhile."""
    path = dice.choice(SPOKEN)
    soft = dice.choice(NOISES) if dice.random() < 0.3 else None
    spoken = Piece(at, len(_recording(path)), path, soft, dice.uniform(0.3, 1.0))
    pause_s = spoken.n / RATE_HZ * (1 / speech - 1)
    pause_s = max(LEAST_PAUSE_S, pause_s * dice.choice((0.1, 0.5, 1.0, 2.4)))
    n = round(pause_s * RATE_HZ)
    noise = dice.choice(NOISES) if dice.random() < 0.4 else None
    return [spoken, Piece(spoken.start + spoken.n, n, noise, None, LOUD_NOISE)]


@lru_cache(maxsize=4)
def _sound(piece: Piece) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    samples = np.zeros(piece.n, np.float32)
    if piece.path is not None:
        samples += piece.gain * np.resize(_recording(piece.path), piece.n)
    if piece.noise is not None:
        samples += SOFT_NOISE * np.resize(_recording(piece.noise), piece.n)
    return np.asarray(np.clip(samples, -1, 1) * 32767, np.int16)


@lru_cache(maxsize=64)
def _recording(path: Path) -> Samples:
    samples, rate_hz = soundfile.read(path, dtype="float32")
    assert rate_hz == RATE_HZ, f"{path}: {rate_hz} Hz"
    return np.asarray(samples, np.float32)
