# SPDX-License-Identifier: Apache-2.0
"""Speaks the short recordings that ship with edgestream: the sample and the clips of the tests.

    python samples.py REPOSITORY

Writes `edgestream/data/sample.flac` and `sample.txt`, `tests/data/*.flac` and `speech.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from shape import SAMPLE_RATE_HZ
from speak import SEED, level
from voices import Speakers

LEAD_S, PAUSE_S = 0.4, (0.45, 0.9)
SAMPLE = [
    ("flite:rms", "it was nice to meet you."),
    ("flite:rms", "do you want to grab a coffee before the meeting?"),
    ("espeak:gmw/en-US", "thanks for helping me move the sofa."),
    ("flite:rms", "the children built a huge snowman in front of the house."),
    ("flite:slt", "what time does the pharmacy close on sundays?"),
    ("espeak:gmw/en-US", "i'll send you the photos later."),
    ("flite:slt", "my father taught me how to swim when i was five."),
    ("espeak:gmw/en-US", "let me know when you get home."),
]
CLIPS = {
    "music_en_us": ("espeak:gmw/en-US", "could you turn the music down a little, please?"),
    "umbrella_slt": ("flite:slt", "i left my umbrella on the bus this morning."),
    "pharmacy_f2": ("espeak:gmw/en-US+f2", "what time does the pharmacy close on sundays?"),
    "lunch_rms": ("flite:rms", "she said she would call back after lunch."),
    "milk_en_us": ("espeak:gmw/en-US", "we ran out of milk again."),
    "tea_rms": ("flite:rms", "i prefer black tea without sugar."),
    "letter_slt": ("flite:slt", "i got a letter from the bank yesterday."),
    "lake_awb": ("flite:awb", "the water in the lake is surprisingly warm."),
    "door_f2": ("espeak:gmw/en-US+f2", "please remember to lock the back door."),
}


def write_sample(speakers: Speakers, folder: Path) -> None:
    """Several sentences with pauses between them, in two or more voices."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = Random(SEED)
    parts = [np.zeros(int(LEAD_S * SAMPLE_RATE_HZ), np.float32)]
    for request in SAMPLE:
        pause = np.zeros(int(rng.uniform(*PAUSE_S) * SAMPLE_RATE_HZ), np.float32)
        parts += [*(level(u) for u in speakers.speak([request])), pause]
    soundfile.write(folder / "sample.flac", np.concatenate(parts), SAMPLE_RATE_HZ, "PCM_16")
    (folder / "sample.txt").write_text("\n".join(t for _, t in SAMPLE) + "\n", encoding="utf-8")


def write_clips(speakers: Speakers, folder: Path) -> None:
    """One sentence per clip, with its text and word ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "speech.jsonl").open("w", encoding="utf-8") as index:
        for name, request in CLIPS.items():
            for utterance in speakers.speak([request]):
                file = f"{name}.flac"
                soundfile.write(folder / file, level(utterance), SAMPLE_RATE_HZ, "PCM_16")
                row = {
                    "file": file,
                    "voice": utterance.voice,
                    "text": utterance.text,
                    "word_ends_s": [round(end, 3) for end in utterance.word_ends_s],
                }
                index.write(json.dumps(row) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", type=Path)
    args = parser.parse_args()
    speakers = Speakers(Random(SEED))
    write_sample(speakers, args.repository / "edgestream" / "data")
    write_clips(speakers, args.repository / "tests" / "data")


if __name__ == "__main__":
    main()
