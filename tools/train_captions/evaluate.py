# SPDX-License-Identifier: Apache-2.0
"""Measures a checkpoint in PyTorch on speech of `speak.py`, long streams and other sound.

    python evaluate.py speech CHECKPOINT TOKENIZER SPEECH_DIR [--delay-frames 6] [--pad-bias 0.5]
    python evaluate.py stream CHECKPOINT TOKENIZER SPEECH_DIR --minutes 30
    python evaluate.py sound CHECKPOINT TOKENIZER --minutes 60

`speech` prints the word error rate per voice, each file a stream of its own; `stream` puts the
files of the folder into one stream with pauses; `sound` counts words invented per hour.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random

import nonspeech
import numpy as np
import soundfile
import torch
from features import log_mel
from network import CaptionNetwork, load_network
from numpy.typing import NDArray
from scoring import Detokenizer, Score
from shape import HOP_SAMPLES, MEL_PER_STEP, SAMPLE_RATE_HZ
from speech import spoken_words

STEP_SAMPLES = HOP_SAMPLES * MEL_PER_STEP
LEAD_S, TAIL_S = 0.3, 1.2  # silence around a file: the tail covers the delay and a few tokens
BATCH_FILES = 48
SOUND_SEED = 977  # nonspeech.py trains on seed 1
SOUND_LEVELS_DBFS = (-70, -50, -35, -23, -15, -6)
SOUND_CLIP_S = 60.0
PAUSE_S, LONG_PAUSE_S, LONG_PAUSE_SHARE = (0.2, 1.2), (2.0, 15.0), 0.06
STREAM_SEED = 5


@dataclass
class Captioner:
    """A network with the settings it is measured at."""

    network: CaptionNetwork
    detokenizer: Detokenizer
    delay_frames: int
    pad_bias: float

    def tokens(self, signals: list[NDArray[np.float32]]) -> list[list[int]]:
        """Tokens per step of each signal, captioned as streams side by side."""
        n = max(len(s) for s in signals)
        n = -(-n // STEP_SAMPLES) * STEP_SAMPLES
        mels = [log_mel(np.pad(s, (0, n - len(s)))) for s in signals]
        mel = torch.from_numpy(np.stack(mels))
        rows: list[list[int]] = self.network.caption(mel, self.delay_frames, self.pad_bias).tolist()
        return rows

    def texts(self, signals: list[NDArray[np.float32]]) -> list[str]:
        """Captions of each signal."""
        return [self.detokenizer.text(row) for row in self.tokens(signals)]


def read_speech(folder: Path) -> list[tuple[dict[str, str], NDArray[np.float32]]]:
    """Rows of `speech.jsonl` with their samples."""
    rows = [json.loads(line) for line in (folder / "speech.jsonl").read_text().splitlines()]
    return [(row, soundfile.read(folder / row["file"], dtype="float32")[0]) for row in rows]


def measure_speech(captioner: Captioner, folder: Path, show: int) -> None:
    """Prints word error rates per voice and the worst captions."""
    lead, tail = np.zeros(int(LEAD_S * SAMPLE_RATE_HZ)), np.zeros(int(TAIL_S * SAMPLE_RATE_HZ))
    files = sorted(read_speech(folder), key=lambda file: len(file[1]))
    scores: dict[str, Score] = defaultdict(Score)
    total, missed = Score(), []
    for start in range(0, len(files), BATCH_FILES):
        batch = files[start : start + BATCH_FILES]
        signals = [np.concatenate([lead, x, tail]).astype(np.float32) for _, x in batch]
        for (row, _), text in zip(batch, captioner.texts(signals), strict=True):
            scores[row["voice"]].add(row["text"], text)
            total.add(row["text"], text)
            if spoken_words(row["text"]) != spoken_words(text):
                missed.append(f"  {row['voice']}: {row['text']} | {text}")
    for voice, score in sorted(scores.items()):
        print(f"{voice:36} {score.wer:.3f} of {score.words} words")
    print(f"{'all':36} {total.wer:.3f} of {total.words} words", flush=True)
    Random(0).shuffle(missed)
    print("\n".join(missed[:show]))


def measure_stream(captioner: Captioner, folder: Path, minutes: float) -> None:
    """Prints the word error rate of one long stream, and by five minutes."""
    rng = Random(STREAM_SEED)
    files = read_speech(folder)
    rng.shuffle(files)
    parts, said, length, i = [], [], 0, 0
    while length < minutes * 60 * SAMPLE_RATE_HZ:
        row, samples = files[i % len(files)]
        span = LONG_PAUSE_S if rng.random() < LONG_PAUSE_SHARE else PAUSE_S
        pause = np.zeros(int(rng.uniform(*span) * SAMPLE_RATE_HZ), np.float32)
        said.append((length / STEP_SAMPLES, row["text"]))
        parts += [samples, pause]
        length += len(samples) + len(pause)
        i += 1
    tokens = captioner.tokens([np.concatenate(parts)])[0]
    blocks: dict[int, Score] = defaultdict(Score)
    total = Score()
    group = 6  # utterances scored at once, so that a word near a border is not counted twice
    for first in range(0, len(said), group):
        start = round(said[first][0]) + captioner.delay_frames // 2 if first else 0
        after = first + group
        stop = round(said[after][0]) + captioner.delay_frames // 2 if after < len(said) else None
        text = captioner.detokenizer.text(tokens[start:stop])
        wanted = " ".join(t for _, t in said[first:after])
        total.add(wanted, text)
        blocks[int(start * STEP_SAMPLES / SAMPLE_RATE_HZ // 300)].add(wanted, text)
    print(
        f"stream of {length / SAMPLE_RATE_HZ / 60:.1f} min: {total.wer:.3f} of {total.words} words"
    )
    print("by five minutes:", " ".join(f"{score.wer:.3f}" for score in blocks.values()))


def measure_sound(captioner: Captioner, minutes: float) -> None:
    """Prints the words invented per hour on each kind of sound, over all levels."""
    n_clips = max(len(SOUND_LEVELS_DBFS), round(minutes * 60 / SOUND_CLIP_S))
    for number, kind in enumerate(nonspeech.KINDS):
        rng = np.random.default_rng([SOUND_SEED, number])
        levels = [SOUND_LEVELS_DBFS[i % len(SOUND_LEVELS_DBFS)] for i in range(n_clips)]
        clips = [
            np.clip(nonspeech.sound(kind, rng, SOUND_CLIP_S, 10 ** (dbfs / 20)), -1, 1)
            for dbfs in levels
        ]
        texts = []
        for start in range(0, n_clips, BATCH_FILES):
            texts += captioner.texts(clips[start : start + BATCH_FILES])
        words = [(level, text) for level, text in zip(levels, texts, strict=True) if text]
        n_words = sum(len(spoken_words(text)) for _, text in words)
        hours = n_clips * SOUND_CLIP_S / 3600
        print(
            f"{kind:8} {n_words / hours:6.1f} words an hour ({hours:.2f} h) {words[:6]}", flush=True
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speech", "stream", "sound"])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("speech_dir", type=Path, nargs="?")
    parser.add_argument("--delay-frames", type=int, default=6)
    parser.add_argument("--pad-bias", type=float, default=0.5)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--show", type=int, default=0)
    args = parser.parse_args()
    if args.what != "sound" and args.speech_dir is None:
        parser.error(f"{args.what} needs the SPEECH_DIR that speak.py wrote")
    network, detokenizer = load_network(args.checkpoint), Detokenizer(args.tokenizer)
    captioner = Captioner(network, detokenizer, args.delay_frames, args.pad_bias)
    if args.what == "speech":
        measure_speech(captioner, args.speech_dir, args.show)
    elif args.what == "stream":
        measure_stream(captioner, args.speech_dir, args.minutes)
    else:
        measure_sound(captioner, args.minutes)


if __name__ == "__main__":
    main()
