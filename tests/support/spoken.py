# SPDX-License-Identifier: Apache-2.0
"""Recordings as a client sends them, and the words that one undisturbed stream hears in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

import edgestream as es
from edgestream.data import DATA
from edgestream.events import Final
from edgestream.sources.block import Block

RATE_HZ = 16_000
CLIPS = Path(__file__).parent.parent / "data"
PERSON = DATA / "person.flac"
PAUSE_S = 1.0


def pcm(*paths: Path) -> bytes:
    """Mono s16le at RATE_HZ: the recordings one after the other, a pause after each."""
    pause = np.zeros(round(PAUSE_S * RATE_HZ), np.int16)
    pieces = []
    for path in paths:
        samples, rate_hz = soundfile.read(path, dtype="int16")
        assert rate_hz == RATE_HZ, path
        pieces += [samples, pause]
    return np.concatenate(pieces).astype("<i2").tobytes()


def words(model: str, sound: bytes) -> list[str]:
    """What a stream of the model hears of the whole."""
    stream = es.load(model).stream(rate_hz=RATE_HZ)
    samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32768
    events = [*stream.take(Block(samples, 0, "")), *stream.finish()]
    return [word.text for event in events if isinstance(event, Final) for word in event.words]
