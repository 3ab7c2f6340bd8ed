# SPDX-License-Identifier: Apache-2.0
"""Speech from flite's C library: audio and the times of words and phones.

Debian's `flite` package brings the voices slt, rms, awb and kal16.
"""

from __future__ import annotations

import ctypes as c

import numpy as np
from speech import PAUSE, PHONE_NUMBER, UNKNOWN_PHONE, Utterance, align_words, to_model_rate

WORD_END = b"R:SylStructure.daughtern.daughtern.R:Segment.end"
SAME_PHONE = {  # flite's rarer phones to those of PHONES
    "axr": "er", "el": "l", "en": "n", "em": "m", "dx": "t", "nx": "n", "ssil": "pau", "h#": "pau",
    "brth": "pau", "hv": "hh", "ix": "ih", "ux": "uw", "tq": "t", "sil": "pau",
}  # fmt: skip


class _Wave(c.Structure):
    _fields_ = (
        ("type", c.c_char_p),
        ("sample_rate", c.c_int),
        ("num_samples", c.c_int),
        ("num_channels", c.c_int),
        ("samples", c.POINTER(c.c_short)),
    )


class _Voice(c.Structure):
    _fields_ = (("name", c.c_char_p), ("features", c.c_void_p))


def phone_number(name: str) -> int:
    """A CMU phone's number in PHONES; unknown ones count as schwa."""
    return PHONE_NUMBER.get(SAME_PHONE.get(name, name), UNKNOWN_PHONE)


class Flite:
    """The library and the voices that were used so far."""

    def __init__(self) -> None:
        self._lib = c.CDLL("libflite.so.1", mode=c.RTLD_GLOBAL)
        for name in ("cmulex", "usenglish"):
            c.CDLL(f"libflite_{name}.so.1", mode=c.RTLD_GLOBAL)
        for name in ("flite_synth_text", "utt_relation", "relation_head", "item_next", "utt_wave"):
            getattr(self._lib, name).restype = c.c_void_p
        self._lib.item_feat_string.restype = c.c_char_p
        self._lib.item_feat_float.restype = c.c_float
        self._lib.ffeature_float.restype = c.c_float
        self._lib.feat_set_float.argtypes = [c.c_void_p, c.c_char_p, c.c_float]
        self._lib.flite_init()
        self._voices: dict[str, int] = {}

    def speak(self, text: str, voice: str, stretch: float) -> Utterance | None:
        """Speaks with a voice such as "slt", `stretch` times slower; None without alignment."""
        handle = self._voice(voice)
        features = c.cast(handle, c.POINTER(_Voice)).contents.features
        self._lib.feat_set_float(features, b"duration_stretch", stretch)
        spoken = c.c_void_p(self._lib.flite_synth_text(text.encode(), c.c_void_p(handle)))
        try:
            wave = c.cast(self._lib.utt_wave(spoken), c.POINTER(_Wave)).contents
            samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,))
            samples = to_model_rate(samples, wave.sample_rate)  # a copy, before flite frees it
            words = [
                (self._name(i), float(self._lib.ffeature_float(i, WORD_END)))
                for i in self._items(spoken, b"Word")
            ]
            phones = [
                (phone_number(self._name(i)), float(self._lib.item_feat_float(i, b"end")))
                for i in self._items(spoken, b"Segment")
            ]
        finally:
            self._lib.delete_utterance(spoken)
        ends = align_words(text, words)
        if ends is None:
            return None
        numbers, phone_ends = [p for p, _ in phones], [e for _, e in phones]
        return Utterance(text, f"flite:{voice}", samples, ends, numbers or [PAUSE], phone_ends)

    def _voice(self, name: str) -> int:
        if name not in self._voices:
            library = c.CDLL(f"libflite_cmu_us_{name}.so.1", mode=c.RTLD_GLOBAL)
            register = getattr(library, f"register_cmu_us_{name}")
            register.restype = c.c_void_p
            self._voices[name] = register(None)
        return self._voices[name]

    def _items(self, spoken: c.c_void_p, relation: bytes) -> list[c.c_void_p]:
        items = []
        item = self._lib.relation_head(c.c_void_p(self._lib.utt_relation(spoken, relation)))
        while item:
            items.append(c.c_void_p(item))
            item = self._lib.item_next(items[-1])
        return items

    def _name(self, item: c.c_void_p) -> str:
        return str(self._lib.item_feat_string(item, b"name").decode())
