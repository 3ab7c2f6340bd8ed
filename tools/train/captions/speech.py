# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SIM905 - long word lists read better as text
"""Synthesised speech: audio, the end of every word, and phones with their ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray
from shape import SAMPLE_RATE_HZ

WORD = re.compile(r"[a-z']+")
LETTERS = re.compile(r"[^a-z]")

PHONES = (  # the CMU set that flite and festival use, without stress
    "aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v"
    " w y z zh pau"
).split()
PHONE_NUMBER = {name: i for i, name in enumerate(PHONES)}
PAUSE = PHONE_NUMBER["pau"]
UNKNOWN_PHONE = PHONE_NUMBER["ax"]


@dataclass(frozen=True)
class Utterance:
    """One spoken text. `samples` float32 [n] at 16 kHz; times in seconds from its start."""

    text: str
    voice: str
    samples: NDArray[np.float32]
    word_ends_s: list[float]  # one per word of `spoken_words(text)`
    phones: list[int]  # numbers in PHONES
    phone_ends_s: list[float]


def spoken_words(text: str) -> list[str]:
    """The words of a normalised text: runs of a-z and apostrophes."""
    return WORD.findall(text)


def to_model_rate(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.float32]:
    """16-bit samples at any rate to float32 in [-1, 1] at 16 kHz."""
    x = samples.astype(np.float32) / 32768
    return x if rate_hz == SAMPLE_RATE_HZ else soxr.resample(x, rate_hz, SAMPLE_RATE_HZ)


def align_words(text: str, synthesised: list[tuple[str, float]]) -> list[float] | None:
    """Word ends for `text` from a synthesiser's own words, which may split ours ("don't").

    None if they cannot be matched letter by letter: such an utterance is not used.
    """
    parts = [(LETTERS.sub("", word.lower()), end) for word, end in synthesised]
    ends = []
    at = 0
    for word in (LETTERS.sub("", w) for w in spoken_words(text)):
        joined = ""
        while at < len(parts) and len(joined) < len(word):
            joined += parts[at][0]
            at += 1
        if joined != word or at == 0:
            return None
        ends.append(parts[at - 1][1])
    return ends
