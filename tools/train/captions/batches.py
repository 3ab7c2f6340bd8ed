# SPDX-License-Identifier: Apache-2.0
"""Training rows: random crops of endless streams of utterances, pauses and other sound.

A row is a new stream each time, with gaps, levels and a delay of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from features import N_MELS, QUANT_LOW, restore
from numpy.typing import NDArray
from shape import MEL_PER_PHONE, MEL_PER_STEP, MEL_S, PAD, STEP_S
from shards import Recording, read_shard
from speech import PAUSE
from tokenizers import Tokenizer

SPOKEN_WORD = re.compile(r"[a-z']+[^a-z']*")  # with the punctuation after it
DB = np.log(10) / 10  # one decibel in natural log of power
PHONE_LEAD_S = 0.02  # a phone score may see this far past its frame's centre

DELAY_SHARES = [0.03, 0.05, 0.08, 0.11, 0.13, 0.38, 0.11, 0.11]  # of delays 1..8 steps
SOUND_ROW_SHARE = 0.07  # rows without any speech
BACKGROUND_SHARE = 0.12  # rows with another sound under the speech
BACKGROUND_DB = (-45.0, -14.0)
CUT_START_SHARE = 0.6  # rows that begin in the middle of an utterance
SHORT_GAP_SHARE = 0.86
SHORT_GAP_S, LONG_GAP_S = (0.05, 0.9), (1.0, 7.0)
SOUND_GAP_SHARE = 0.5  # of long gaps, the rest is silence
TIGHT_END_SHARE = 0.3  # utterances cut right after their last word
TIGHT_END_S = 0.1
USUAL_GAIN_DB, WIDE_GAIN_DB, WIDE_GAIN_SHARE = (-10.0, 7.0), (-20.0, 16.0), 0.3
LATE_SHARE = 0.08  # words whose tokens come a step or two late, so that lateness is recovered from


@dataclass
class Row:
    """One training row of T steps."""

    mel: NDArray[np.float32]  # [8T, n_mels]
    labels: NDArray[np.int64]  # [T] tokens, PAD where nothing is written
    phones: NDArray[np.int64]  # [2T]
    quiet: NDArray[np.bool_]  # [8T] frames of gaps, which may become digital silence
    gain: float  # natural log of the speech's power gain
    delay: int  # steps between a word's end and its first token


class Speech:
    """All recordings read so far, with their tokens."""

    def __init__(
        self, tokenizer: Path, folder: Path, held_out: set[str], rarer: frozenset[str] = frozenset()
    ) -> None:
        self.rarer = rarer  # texts to draw less often
        self.spoken: list[Recording] = []
        self.sounds: list[Recording] = []
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._folder, self._held_out = folder, held_out
        self._seen: set[Path] = set()
        self._ids: dict[str, list[int]] = {}

    def refresh(self) -> int:
        """Reads shards that are new in the folder; returns their number."""
        fresh = sorted(set(self._folder.glob("*.npz")) - self._seen)
        for path in fresh:
            self._seen.add(path)
            recordings = read_shard(path)
            self.sounds += [r for r in recordings if not r.text]
            self.spoken += [r for r in recordings if r.text and self._is_fit(r)]
        return len(fresh)

    def hours(self) -> float:
        """Hours of speech."""
        return sum(len(r.mel) for r in self.spoken) * MEL_S / 3600

    def word_tokens(self, text: str) -> list[list[int]]:
        """The tokens of each word, punctuation with the word before it."""
        return [self._word_ids(m.group(0).strip()) for m in SPOKEN_WORD.finditer(text)]

    def _word_ids(self, word: str) -> list[int]:
        if word not in self._ids:
            self._ids[word] = self._tokenizer.encode(word).ids
        return self._ids[word]

    def _is_fit(self, r: Recording) -> bool:
        n_words = len(SPOKEN_WORD.findall(r.text))
        return r.text not in self._held_out and n_words == len(r.word_ends_s)


def place_labels(
    words: list[tuple[float, list[int]]], n_steps: int, delay: int, rng: Random, late: float
) -> NDArray[np.int64]:
    """Labels [n_steps]: a word (end in seconds, tokens) is written `delay` steps after its end."""
    labels = np.full(n_steps, PAD, np.int64)
    free = 0
    for end_s, tokens in words:
        at = int(end_s / STEP_S) + delay
        if late and rng.random() < late:
            at += rng.choice((1, 1, 2))
        at = max(at, free)
        for token in tokens:
            if 0 <= at < n_steps:
                labels[at] = token
            at += 1
        free = max(free, at)
    return labels


class RowMaker:
    """Makes rows from `speech` with a random generator of its own.

    Of the draws of `speech.rarer` texts a share of `kept` is kept.
    """

    def __init__(self, speech: Speech, n_steps: int, rng: Random, kept: float = 1.0) -> None:
        self._speech, self._rng = speech, rng
        self._n_steps, self._kept = n_steps, kept

    def row(self) -> Row:
        """One row; see the shares at the top."""
        rng, n = self._rng, self._n_steps * MEL_PER_STEP
        gains = WIDE_GAIN_DB if rng.random() < WIDE_GAIN_SHARE else USUAL_GAIN_DB
        self._row_gain = rng.uniform(*gains) * DB
        self._mel = np.full((n, N_MELS), QUANT_LOW, np.float32)
        self._quiet = np.ones(n, np.bool_)
        self._phones = np.full(n // MEL_PER_PHONE, PAUSE, np.int64)
        self._words: list[tuple[float, list[int]]] = []
        delay = rng.choices(range(1, len(DELAY_SHARES) + 1), DELAY_SHARES)[0]
        if self._speech.sounds and rng.random() < SOUND_ROW_SHARE:
            at = 0
            while at < n:
                at += self._add_sound(at, n - at, rng.uniform(-60, 20))
        else:
            self._fill_with_speech()
            if self._speech.sounds and rng.random() < BACKGROUND_SHARE:
                self._add_sound(0, n, rng.uniform(*BACKGROUND_DB))
        labels = place_labels(self._words, self._n_steps, delay, rng, LATE_SHARE)
        return Row(self._mel, labels, self._phones, self._quiet, self._row_gain, delay)

    def _fill_with_speech(self) -> None:
        rng = self._rng
        recording = self._draw()
        cut = rng.random() < CUT_START_SHARE
        at = -rng.randrange(len(recording.mel)) if cut else rng.randrange(120)
        while at < len(self._mel):
            at += self._add_speech(recording, at)
            if rng.random() < SHORT_GAP_SHARE:
                at += int(rng.uniform(*SHORT_GAP_S) / MEL_S)
            else:
                gap = int(rng.uniform(*LONG_GAP_S) / MEL_S)
                if self._speech.sounds and rng.random() < SOUND_GAP_SHARE:
                    self._add_sound(max(at, 0), gap, rng.uniform(-40, 12))
                at += gap
            recording = self._draw()

    def _draw(self) -> Recording:
        while True:
            recording = self._rng.choice(self._speech.spoken)
            if self._rng.random() < self._kept or recording.text not in self._speech.rarer:
                return recording

    def _add_speech(self, r: Recording, at: int) -> int:
        """Puts an utterance at frame `at` (it may begin before the row); returns its frames."""
        rng, n = self._rng, len(r.mel)
        if rng.random() < TIGHT_END_SHARE:
            n = min(n, int((float(r.word_ends_s[-1]) + rng.random() * TIGHT_END_S) / MEL_S) + 1)
        gain = self._row_gain + rng.uniform(-3, 3) * DB
        first, last = max(0, at), min(len(self._mel), at + n)
        if last > first:
            self._mel[first:last] = restore(r.mel[first - at : last - at]) + gain
            self._quiet[first:last] = False
        start_s = at * MEL_S
        begin_s = start_s
        for end, tokens in zip(r.word_ends_s, self._speech.word_tokens(r.text), strict=True):
            if begin_s >= -TIGHT_END_S / 2:  # a word that began before the row is not asked for
                self._words.append((start_s + float(end), tokens))
            begin_s = start_s + float(end)
        self._add_phones(r, at, n)
        return n

    def _add_phones(self, r: Recording, at: int, n: int) -> None:
        first = max(0, at // MEL_PER_PHONE)
        last = min(len(self._phones), (at + n) // MEL_PER_PHONE + 2)
        if last <= first:
            return
        middle = (np.arange(first, last) + 0.5) * MEL_PER_PHONE * MEL_S
        times = middle - 2 * PHONE_LEAD_S - at * MEL_S
        which = np.searchsorted(r.phone_ends_s, times)
        known = (which < len(r.phones)) & (times >= 0)
        self._phones[first:last][known] = r.phones[which[known]]

    def _add_sound(self, at: int, n: int, gain_db: float) -> int:
        """Adds up to `n` frames of another sound's power from frame `at`; returns how many."""
        r = self._rng.choice(self._speech.sounds)
        start = self._rng.randrange(len(r.mel) // 2)
        n = min(n, len(r.mel) - start, len(self._mel) - at)
        if n > 0:
            span = slice(at, at + n)
            mel = restore(r.mel[start : start + n]) + gain_db * DB
            self._mel[span] = np.logaddexp(self._mel[span], mel)
            self._quiet[span] = False
        return max(n, 1)
