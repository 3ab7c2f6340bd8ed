# SPDX-License-Identifier: Apache-2.0
"""Speech from espeak-ng's C library, with its word and phoneme events."""

from __future__ import annotations

import ctypes as c
from typing import Any

import numpy as np
from speech import PAUSE, PHONE_NUMBER, UNKNOWN_PHONE, WORD, Utterance, to_model_rate

RETRIEVE_AUDIO, PHONEME_EVENTS, UTF8 = 1, 1, 1  # speak_lib.h
EVENT_END, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
PARAMETERS = {"rate": 1, "pitch": 3, "pitch_range": 4}
EDGE_S = 0.08  # a pause this near a word's end belongs to the gap, not to the word
SAME_PHONE = {  # espeak-ng's English mnemonics to those of PHONES
    "n": "n", "t": "t", "_:": "pau", "I": "ih", "s": "s", "d": "d", "_": "pau", "@": "ax", "l": "l",
    "r": "r", "k": "k", "m": "m", "z": "z", "D": "dh", "a": "ae", "E": "eh", "V": "ah", "p": "p",
    "w": "w", "f": "f", "0": "aa", "v": "v", "i:": "iy", "I2": "ih", "aI": "ay", "a#": "ax",
    "b": "b", "eI": "ey", "u:": "uw", "3": "er", "h": "hh", "oU": "ow", "j": "y", "i": "iy",
    "g": "g", "S": "sh", "@2": "ax", "O@": "ao", "N": "ng", "3:": "er", "@L": "l", "dZ": "jh",
    "aU": "aw", "T": "th", "A@": "aa", "r-": "r", "U": "uh", "O:": "ao", "tS": "ch", "o@": "ao",
    "e@": "eh", "I#": "ih", "aa": "ae", "t#": "t", "aI2": "ay", "i@": "iy", "O2": "ao", "OI": "oy",
    "i@3": "iy", "t[": "t", "A:": "aa", "aI@": "ay", "t2": "t", "@5": "ax", "U@": "uh", "w#": "w",
    "VR": "er", "@-": "ax", "_|": "pau", "IR": "er", "Z": "zh", "aI3": "ay", "?": "t", "n-": "n",
}  # fmt: skip


class _Id(c.Union):
    _fields_ = (("number", c.c_int), ("name", c.c_char_p), ("string", c.c_char * 8))


class _Event(c.Structure):
    _fields_ = (
        ("type", c.c_int),
        ("unique_identifier", c.c_uint),
        ("text_position", c.c_int),
        ("length", c.c_int),
        ("audio_position", c.c_int),
        ("sample", c.c_int),
        ("user_data", c.c_void_p),
        ("id", _Id),
    )


_Callback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(_Event))


class Espeak:
    """The library; it speaks one text at a time."""

    def __init__(self) -> None:
        self._lib: Any = c.CDLL("libespeak-ng.so.1")
        self.rate_hz = self._lib.espeak_Initialize(RETRIEVE_AUDIO, 0, None, PHONEME_EVENTS)
        self._audio: list[bytes] = []
        self._words: list[tuple[int, float]] = []  # text position, start in seconds
        self._phones: list[tuple[int, float]] = []  # number in PHONES, start in seconds
        self._callback = _Callback(self._receive)  # kept alive for the library
        self._lib.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> Utterance:
        """Speaks with a voice such as "gmw/en-US+f2" at `rate` words a minute; pitch 0 to 100."""
        self._audio, self._words, self._phones = [], [], []
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}; see espeak-ng --voices")
        values = {"rate": rate, "pitch": pitch, "pitch_range": pitch_range}
        for name, number in PARAMETERS.items():
            self._lib.espeak_SetParameter(number, values[name], 0)
        data = text.encode() + b"\0"
        size, zero = c.c_size_t(len(data)), c.c_uint(0)
        self._lib.espeak_Synth(data, size, zero, c.c_int(1), zero, c.c_uint(UTF8), None, None)
        self._lib.espeak_Synchronize()
        samples = np.frombuffer(b"".join(self._audio), np.int16)
        length_s = len(samples) / self.rate_hz
        phones = [p for p, _ in self._phones] or [PAUSE]
        phone_ends = [*(start for _, start in self._phones[1:]), length_s]
        ends = _word_ends(text, self._words, self._pauses(length_s), length_s)
        resampled = to_model_rate(samples, self.rate_hz)
        return Utterance(text, f"espeak:{voice}", resampled, ends, phones, phone_ends)

    def _receive(self, wave: Any, n_samples: int, events: Any) -> int:
        if wave and n_samples > 0:
            self._audio.append(c.string_at(wave, n_samples * 2))
        i = 0
        while events[i].type != EVENT_END:
            event = events[i]
            start_s = event.sample / self.rate_hz
            if event.type == EVENT_WORD:
                self._words.append((event.text_position, start_s))
            elif event.type == EVENT_PHONEME:
                self._phones.append((_phone(bytes(event.id.string)), start_s))
            i += 1
        return 0

    def _pauses(self, length_s: float) -> list[tuple[float, float]]:
        starts = [start for _, start in self._phones]
        ends = [*starts[1:], length_s]
        spans = zip(self._phones, starts, ends, strict=True)
        return [(start, end) for (phone, _), start, end in spans if phone == PAUSE]


def _phone(name: bytes) -> int:
    plain = name.strip(b"\0").decode(errors="replace")
    if not plain:
        return PAUSE
    return PHONE_NUMBER.get(SAME_PHONE.get(plain, ""), UNKNOWN_PHONE)


def _word_ends(
    text: str,
    events: list[tuple[int, float]],
    pauses: list[tuple[float, float]],
    length_s: float,
) -> list[float]:
    """A word ends where the next one starts, or where the pause between them starts."""
    spans = [m.span() for m in WORD.finditer(text)]
    starts: list[float | None] = [None] * len(spans)
    for position, start_s in events:
        for i, (first, last) in enumerate(spans):
            # Positions count from one, and a word's event may sit on the space before it.
            if first - 1 <= position - 1 < last:
                starts[i] = start_s if starts[i] is None else starts[i]
                break
    ends = [length_s] * len(spans)
    following = length_s
    for i in range(len(spans) - 1, -1, -1):
        ends[i] = following
        following = following if starts[i] is None else starts[i]
    return [_without_pause(end, start, pauses) for end, start in zip(ends, starts, strict=True)]


def _without_pause(end: float, start: float | None, pauses: list[tuple[float, float]]) -> float:
    """`end` moved back before every pause that runs up to it."""
    for first, last in reversed(pauses):
        if abs(last - end) < EDGE_S and first < end and (start is None or first > start):
            end = first
    return end
