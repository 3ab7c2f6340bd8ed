# SPDX-License-Identifier: Apache-2.0
"""Speech with known words: clips, and long streams made of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeGuard

import numpy as np

from edgestream.data import DATA
from edgestream.errors import SourceError
from edgestream.scoring.words import spoken_words
from edgestream.sources.block import Samples
from edgestream.sources.resample import Resampler
from edgestream.sources.sound_file import FileSource

BUNDLED = DATA / "bench"  # synthetic voices
PEOPLE = BUNDLED / "people"
INDEX = "speech.jsonl"  # as tools/train/captions/speak.py and tools/bench/word_ends.py write it
TABLE = "index.tsv"  # or: file, speaker, licence, words; nothing is known of the words' times
RATE_HZ = 16000  # of all benchmark speech
BLOCK_SAMPLES = 640  # 40 ms, what a file source hands over

# Between sentences: mostly a breath, now and then long enough to think.
PAUSE_MS = (200.0, 1200.0)
LONG_PAUSE_MS = (2000.0, 12000.0)
LONG_PAUSE_SHARE = 0.06
TAIL_MS = 3000.0  # at the end, longer than any delay, so that all words come while it is heard
SEED = 11


@dataclass(frozen=True, slots=True)
class Clip:
    """One sentence: float32 samples [n] at RATE_HZ and the end of each of its spoken words.

    An end is None where nobody knows it, and there are none at all for recordings that were not
    aligned: no latency is measured then.
    """

    text: str
    voice: str
    samples: Samples
    word_ends_ms: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of the reference and when it ended, on the clock of the stream it was put into.

    The end is None where nobody knows it: so for the first of two words that a synthesiser speaks
    as one, both have the same end.
    """

    text: str
    end_ms: float | None


def read_clips(folder: Path) -> list[Clip]:
    """The clips of a folder with a `speech.jsonl`, or with an `index.tsv`.

    Raises SourceError naming the file and the line that cannot be used.
    """
    index = folder / (INDEX if (folder / INDEX).exists() else TABLE)
    try:
        lines = index.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceError(
            f"{folder}: {error.strerror}; a folder of speech has a {INDEX}, as"
            f" tools/train/captions/speak.py writes it, or a {TABLE}"
        ) from None
    clips = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if index.name == INDEX else _table_row(line)
            clips.append(_read_clip(folder, row))
        except (ValueError, KeyError, TypeError, SourceError) as error:
            raise SourceError(f"{index}, line {number}: {error}".replace("\n", " ")) from None
    if not clips:
        raise SourceError(f"{index}: there is no speech in it")
    return clips


def _read_clip(folder: Path, row: dict[str, Any]) -> Clip:
    ends_ms = tuple(None if end is None else 1000.0 * float(end) for end in row["word_ends_s"])
    if ends_ms and len(ends_ms) != len(spoken_words(row["text"])):
        raise ValueError(f"{len(ends_ms)} word ends for the text {row['text']!r}")
    return Clip(row["text"], row["voice"], read_samples(folder / row["file"]), ends_ms)


def _table_row(line: str) -> dict[str, Any]:
    cells = next(csv.reader([line], delimiter="\t"))
    if len(cells) != 4:
        raise ValueError(f"{len(cells)} cells; wanted are file, speaker, licence, words")
    return {
        "file": cells[0],
        "voice": cells[1].partition(" (")[0],
        "text": cells[3],
        "word_ends_s": [],
    }


def read_samples(path: Path) -> Samples:
    """A sound file as mono [n] at RATE_HZ, as a source gives it; raises SourceError on what is none
    or damaged."""
    parts: list[Samples] = []
    with closing(FileSource(path, pace=False)) as source:
        resampler = Resampler(source.rate_hz, RATE_HZ)
        for block in source:
            if block.lost_samples:
                raise SourceError(f"{path}: {block.reason}")
            held = resampler.change_rate(block.rate_hz or source.rate_hz)
            parts += [held, resampler.push(block.samples)]
    return np.concatenate([*parts, resampler.finish()])


def silence(length_ms: float) -> Samples:
    """Digital silence, rounded up to whole blocks."""
    n_blocks = -(-round(length_ms * RATE_HZ / 1000) // BLOCK_SAMPLES)
    return np.zeros(n_blocks * BLOCK_SAMPLES, np.float32)


def padded(samples: Samples, silence_ms: float) -> Samples:
    """`samples`, then at least so much silence that whole blocks result."""
    n = len(samples) + round(silence_ms * RATE_HZ / 1000)
    n += -n % BLOCK_SAMPLES
    return np.pad(samples, (0, n - len(samples)))


def long_stream(clips: list[Clip], minutes: float) -> Iterator[tuple[Samples, list[SpokenWord]]]:
    """Clips in a random order with pauses between, all of them before any again.

    Yields pieces of whole blocks with their words until `minutes` are full, then the tail.
    """
    rng = Random(SEED)
    heard_samples = 0
    while True:
        for clip in rng.sample(clips, len(clips)):
            if heard_samples >= minutes * 60 * RATE_HZ:
                yield silence(TAIL_MS), []
                return
            span = LONG_PAUSE_MS if rng.random() < LONG_PAUSE_SHARE else PAUSE_MS
            piece = padded(clip.samples, rng.uniform(*span))
            yield piece, spoken(clip, 1000 * heard_samples / RATE_HZ)
            heard_samples += len(piece)


def spoken(clip: Clip, start_ms: float) -> list[SpokenWord]:
    """The words of a clip that starts at `start_ms` of its stream."""
    texts = spoken_words(clip.text)
    if not clip.word_ends_ms:
        return [SpokenWord(text, None) for text in texts]
    following = [*clip.word_ends_ms[1:], None]
    return [
        SpokenWord(text, start_ms + end_ms if _is_known(end_ms, next_ms) else None)
        for text, end_ms, next_ms in zip(texts, clip.word_ends_ms, following, strict=True)
    ]


def _is_known(end_ms: float | None, next_ms: float | None) -> TypeGuard[float]:
    return end_ms is not None and end_ms > 0 and (next_ms is None or end_ms < next_ms)


def blocks(samples: Samples) -> Iterator[Samples]:
    """`samples` in blocks of BLOCK_SAMPLES, the last one as short as it is."""
    for start in range(0, len(samples), BLOCK_SAMPLES):
        yield samples[start : start + BLOCK_SAMPLES]
