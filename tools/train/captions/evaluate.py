# SPDX-License-Identifier: Apache-2.0
"""Measures a checkpoint or a model directory on speech of `speak.py` and on other sound.

    python evaluate.py speech MODEL SPEECH_DIR [--delay-frames 6] [--gain-db 0] [--bare] [--show 20]
    python evaluate.py stream MODEL SPEECH_DIR [--minutes 30]
    python evaluate.py sound MODEL [--minutes 60]

MODEL is a model directory, measured in edgestream as users run it, or a checkpoint of train.py
with --tokenizer, measured in PyTorch. `speech` prints the word error rate per voice, each file a
stream of its own; `stream` puts the files into one stream with pauses; `sound` counts the words
invented per hour of each kind of sound, at levels from -70 to -6 dBFS.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from random import Random

import nonspeech
import numpy as np
import soundfile
from captioners import Captioner, CheckpointCaptioner, RuntimeCaptioner, Signal, Words
from scoring import Score
from shape import SAMPLE_RATE_HZ, STEP_S

LEAD_S, TAIL_S = 0.3, 1.2  # silence around a file; the tail covers the delay and a few tokens
BATCH_FILES = 60
SOUND_SEED = 977  # nonspeech.py trains on seed 1
SOUND_LEVELS_DBFS = (-70, -50, -35, -23, -15, -6)
SOUND_CLIP_S = 60.0
PAUSE_S, LONG_PAUSE_S, LONG_PAUSE_SHARE = (0.2, 1.2), (2.0, 15.0), 0.06
STREAM_SEED = 5
GROUP = 6  # utterances of a stream scored at once: few words near a border can be misplaced


def text_of(words: Words) -> str:
    """Words without their times."""
    return " ".join(word for _, word in words)


def read_speech(folder: Path) -> list[tuple[dict[str, str], Signal]]:
    """Rows of `speech.jsonl` with their samples."""
    rows = [json.loads(line) for line in (folder / "speech.jsonl").read_text().splitlines()]
    return [(row, soundfile.read(folder / row["file"], dtype="float32")[0]) for row in rows]


def prepared(samples: Signal, gain_db: float, bare: bool) -> Signal:
    """Samples at another level, clipped as by a sound card, with silence around unless bare."""
    louder = np.clip(samples * np.float32(10 ** (gain_db / 20)), -1, 1)
    around = (int(LEAD_S * SAMPLE_RATE_HZ), int(TAIL_S * SAMPLE_RATE_HZ))
    return louder if bare else np.pad(louder, around)


def measure_speech(
    captioner: Captioner, folder: Path, gain_db: float, bare: bool, show: int
) -> None:
    """Prints word error rates per voice and some captions with errors."""
    files = [(row, prepared(x, gain_db, bare)) for row, x in read_speech(folder)]
    files.sort(key=lambda file: len(file[1]))
    scores: dict[str, Score] = defaultdict(Score)
    total, wrong = Score(), []
    for start in range(0, len(files), BATCH_FILES):
        batch = files[start : start + BATCH_FILES]
        captions = captioner.captions([samples for _, samples in batch])
        for (row, _), words in zip(batch, captions, strict=True):
            scores[row["voice"]].add(row["text"], text_of(words))
            if total.add(row["text"], text_of(words)):
                wrong.append(f"  {row['voice']}: {row['text']} | {text_of(words)}")
    for voice, score in sorted(scores.items()):
        print(f"{voice:36} {score.wer:.3f} of {score.words} words")
    print(f"{'all':36} {total.wer:.3f} of {total.words} words", flush=True)
    Random(0).shuffle(wrong)
    for line in wrong[:show]:
        print(line)


def stream_of(folder: Path, minutes: float) -> tuple[Signal, list[tuple[float, str]]]:
    """The folder's files in one signal with pauses, and when each text starts."""
    rng = Random(STREAM_SEED)
    files = read_speech(folder)
    rng.shuffle(files)
    parts: list[Signal] = []
    said: list[tuple[float, str]] = []
    length = 0
    while length < minutes * 60 * SAMPLE_RATE_HZ:
        row, samples = files[len(said) % len(files)]
        span = LONG_PAUSE_S if rng.random() < LONG_PAUSE_SHARE else PAUSE_S
        pause = np.zeros(int(rng.uniform(*span) * SAMPLE_RATE_HZ), np.float32)
        said.append((length / SAMPLE_RATE_HZ, row["text"]))
        parts += [samples, pause]
        length += len(samples) + len(pause)
    return np.concatenate(parts), said


def measure_stream(captioner: Captioner, folder: Path, minutes: float, delay_s: float) -> None:
    """Prints the word error rate of one long stream, and by five minutes."""
    signal, said = stream_of(folder, minutes)
    words = captioner.captions([signal])[0]
    blocks: dict[int, Score] = defaultdict(Score)
    total = Score()
    for first in range(0, len(said), GROUP):
        # A text's first word is written after its end plus the delay: later than this.
        start_s = said[first][0] + delay_s
        last = first + GROUP
        stop_s = said[last][0] + delay_s if last < len(said) else float("inf")
        got = text_of([w for w in words if start_s <= w[0] < stop_s])
        wanted = " ".join(text for _, text in said[first:last])
        total.add(wanted, got)
        blocks[int(start_s // 300)].add(wanted, got)
    print(f"stream of {len(signal) / SAMPLE_RATE_HZ / 60:.1f} min: {total.wer:.3f}"
          f" of {total.words} words")  # fmt: skip
    print("by five minutes:", " ".join(f"{score.wer:.3f}" for score in blocks.values()), flush=True)


def measure_sound(captioner: Captioner, minutes: float) -> None:
    """Prints the words invented per hour on each kind of sound, over all levels."""
    n_clips = max(len(SOUND_LEVELS_DBFS), round(minutes * 60 / SOUND_CLIP_S))
    for number, kind in enumerate(nonspeech.KINDS):
        rng = np.random.default_rng([SOUND_SEED, number])
        invented: list[str] = []
        for start in range(0, n_clips, BATCH_FILES):
            levels = [SOUND_LEVELS_DBFS[i % len(SOUND_LEVELS_DBFS)]
                      for i in range(start, min(start + BATCH_FILES, n_clips))]  # fmt: skip
            clips = [
                np.clip(nonspeech.sound(kind, rng, SOUND_CLIP_S, 10 ** (dbfs / 20)), -1, 1)
                for dbfs in levels
            ]
            for dbfs, words in zip(levels, captioner.captions(clips), strict=True):
                invented += [f"{word} ({dbfs} dBFS)" for _, word in words]
        hours = n_clips * SOUND_CLIP_S / 3600
        rate = len(invented) / hours
        print(f"{kind:8} {rate:6.1f} words an hour ({hours:.2f} h) {invented[:6]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speech", "stream", "sound"])
    parser.add_argument("model", type=Path)
    parser.add_argument("speech_dir", type=Path, nargs="?")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--delay-frames", type=int, default=6)
    parser.add_argument("--pad-bias", type=float, default=0.5, help="of a checkpoint")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--gain-db", type=float, default=0.0, help="of speech, stored at -23 dBFS")
    parser.add_argument("--bare", action="store_true", help="no silence around the speech")
    parser.add_argument("--show", type=int, default=0)
    args = parser.parse_args()
    if args.what != "sound" and args.speech_dir is None:
        parser.error(f"{args.what} needs the SPEECH_DIR that speak.py wrote")
    captioner: Captioner
    if args.model.is_dir():
        captioner = RuntimeCaptioner(args.model, args.delay_frames)
    elif args.tokenizer is None:
        parser.error("a checkpoint needs --tokenizer")
    else:
        settings = (args.model, args.tokenizer, args.delay_frames, args.pad_bias)
        captioner = CheckpointCaptioner(*settings)
    if args.what == "speech":
        measure_speech(captioner, args.speech_dir, args.gain_db, args.bare, args.show)
    elif args.what == "stream":
        measure_stream(captioner, args.speech_dir, args.minutes, args.delay_frames * STEP_S / 2)
    else:
        measure_sound(captioner, args.minutes)


if __name__ == "__main__":
    main()
