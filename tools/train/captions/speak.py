# SPDX-License-Identifier: Apache-2.0
"""Speaks a file of sentences with held-out settings, for evaluation and benchmarks.

    python speak.py everyday_test.txt OUT_DIR [--voices all|trained|unseen|VOICE ...] [--limit N]

Writes `OUT_DIR/NNNN.wav` (16 kHz, 16 bits) and `OUT_DIR/speech.jsonl`, one line per file:
{"file", "voice", "text", "word_ends_s", "length_s"}. Sentences are dealt to the voices in turn;
`--every` lets every voice speak every sentence.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from shape import SAMPLE_RATE_HZ
from speech import Utterance
from voices import TRAINED, UNSEEN, Speakers

SEED = 20240607  # not used in training
LEVEL_RMS = 0.07  # about -23 dBFS, where speech recordings usually are


def level(utterance: Utterance, rms: float = LEVEL_RMS) -> np.ndarray:
    """The samples scaled to `rms`, kept within [-1, 1]."""
    x = utterance.samples
    return np.clip(x * (rms / (np.sqrt(np.mean(x**2)) + 1e-6)), -1, 1).astype(np.float32)


def requests(sentences: list[str], voices: list[str], every: bool) -> list[tuple[str, str]]:
    """(voice, text) pairs: each sentence once, or once per voice."""
    if every:
        return [(voice, text) for voice in voices for text in sentences]
    return [(voices[i % len(voices)], text) for i, text in enumerate(sentences)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sentences", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--voices", nargs="+", default=["trained"])
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    groups = {"all": TRAINED + UNSEEN, "trained": TRAINED, "unseen": UNSEEN}
    voices = [v for name in args.voices for v in groups.get(name, [name])]
    sentences = args.sentences.read_text(encoding="utf-8").splitlines()[: args.limit]
    args.out_dir.mkdir(parents=True, exist_ok=True)
    spoken = Speakers(Random(SEED)).speak(requests(sentences, voices, args.every))
    with (args.out_dir / "speech.jsonl").open("w", encoding="utf-8") as index:
        for i, utterance in enumerate(spoken):
            name = f"{i:04d}.wav"
            soundfile.write(args.out_dir / name, level(utterance), SAMPLE_RATE_HZ, "PCM_16")
            row = {
                "file": name,
                "voice": utterance.voice,
                "text": utterance.text,
                "word_ends_s": [round(end, 3) for end in utterance.word_ends_s],
                "length_s": round(len(utterance.samples) / SAMPLE_RATE_HZ, 3),
            }
            index.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
