# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: SIM905 - long word lists read better as text
"""Which voices are trained on, which are kept unseen, and how a voice is drawn.

A voice is named `engine:voice`, such as `espeak:gmw/en-US+f2`, `flite:slt` or
`festival:ked_diphone`.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from speech import Utterance
from voices_espeak import Espeak
from voices_festival import speak_batch
from voices_flite import Flite

ACCENTS = (
    ["gmw/en-US"] * 4
    + ["gmw/en"] * 2
    + "gmw/en-GB-x-rp gmw/en-GB-scotland gmw/en-US-nyc gmw/en-GB-x-gbcwmd gmw/en-GB-x-gbclan"
    " gmw/en-029".split()
)
VARIANTS = (
    "f1 f2 f3 f4 f5 m1 m2 m3 m4 m5 m6 m7 m8 klatt klatt2 klatt3 klatt4 Alex Andrea Andy Annie Denis"
    " Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen RicishayMax"
    " RicishayMax2 adam anika announcer antonio aunty belinda benjamin boris caleb ed edward"
    " edward2 grandpa gustave iven iven2 iven3 john kaukovalta linda marcelo max michel miguel"
    " norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 travis victor zac"
).split()
PLAIN_SHARE = 0.1  # of espeak-ng speech without a variant

UNSEEN_ESPEAK = [
    f"espeak:gmw/{v}"
    for v in ("en-US+Alicia", "en+david", "en-US+grandma", "en-GB-x-rp+iven4", "en-US+steph3")
]
UNSEEN = [*UNSEEN_ESPEAK, "festival:ked_diphone"]  # never in training
TRAINED = [
    "espeak:gmw/en-US", "espeak:gmw/en-US+f2", "espeak:gmw/en-GB-x-rp+m3",
    "espeak:gmw/en-GB-scotland+f4", "espeak:gmw/en+klatt2", "flite:slt", "flite:rms", "flite:awb",
    "flite:kal16", "festival:cmu_us_slt_arctic_hts",
]  # fmt: skip

ENGINE_SHARES = {  # of utterances; the concatenative voices need more speech than espeak-ng's
    "espeak": 0.37, "flite:slt": 0.19, "flite:rms": 0.13, "flite:awb": 0.18, "flite:kal16": 0.07,
    "festival:cmu_us_slt_arctic_hts": 0.06,
}  # fmt: skip
RATE_WPM, PITCH, PITCH_RANGE, STRETCH = (130, 215), (20, 80), (25, 80), (0.8, 1.2)


def draw_voice(rng: Random) -> str:
    """A trained voice at random, by ENGINE_SHARES."""
    voice = rng.choices(list(ENGINE_SHARES), list(ENGINE_SHARES.values()))[0]
    if voice != "espeak":
        return voice
    accent = rng.choice(ACCENTS)
    if rng.random() < PLAIN_SHARE:
        return f"espeak:{accent}"
    return f"espeak:{accent}+{rng.choice(VARIANTS)}"


class Speakers:
    """All engines behind one method; rate and pitch are drawn per utterance."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._espeak = Espeak()
        self._flite = Flite()

    def speak(self, requests: list[tuple[str, str]]) -> Iterator[Utterance]:
        """Speaks (voice, text) pairs; festival's come last, in batches. Failures are left out."""
        waiting: dict[str, list[str]] = {}
        for voice, text in requests:
            engine, _, name = voice.partition(":")
            if engine == "festival":
                waiting.setdefault(name, []).append(text)
                continue
            utterance = self._speak_now(engine, name, text)
            if utterance is not None:
                yield utterance
        for name, texts in waiting.items():
            yield from speak_batch(name, texts, [self._rng.uniform(*STRETCH) for _ in texts])

    def _speak_now(self, engine: str, name: str, text: str) -> Utterance | None:
        rng = self._rng
        if engine == "flite":
            return self._flite.speak(text, name, rng.uniform(*STRETCH))
        if engine == "espeak":
            values = [rng.randint(*r) for r in (RATE_WPM, PITCH, PITCH_RANGE)]
            return self._espeak.speak(text, name, *values)
        raise ValueError(f"voice {engine}:{name}: engine must be espeak, flite or festival")
