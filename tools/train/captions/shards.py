# SPDX-License-Identifier: Apache-2.0
"""Shards of training speech on disk: log-mel in 8 bits, word ends and phones, no audio."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from features import log_mel, quantise
from numpy.typing import NDArray
from speech import Utterance

STORED_RMS = 0.07  # the level all speech is stored at; gain is drawn in training
SILENT_RMS = 1e-4


@dataclass
class Recording:
    """One utterance as it is trained on; without words it is sound that is not speech."""

    text: str
    voice: str
    mel: NDArray[np.uint8]  # [frames, n_mels], see features.quantise
    word_ends_s: NDArray[np.float32]  # [words]
    phones: NDArray[np.uint8]  # [phones]
    phone_ends_s: NDArray[np.float32]  # [phones]


def record(utterance: Utterance, drive_db: float = 0.0) -> Recording:
    """Brings speech to one level and computes its log-mel.

    With `drive_db` it is first clipped as by a sound card that is driven that much too far.
    """
    rms = float(np.sqrt(np.mean(utterance.samples**2)))
    gain = np.float32(STORED_RMS / max(rms, SILENT_RMS))
    drive = np.float32(10 ** (drive_db / 20))
    samples = np.clip(utterance.samples * gain * drive, -1, 1) / drive
    return Recording(
        utterance.text,
        utterance.voice,
        quantise(log_mel(samples)),
        np.array(utterance.word_ends_s, np.float32),
        np.array(utterance.phones, np.uint8),
        np.array(utterance.phone_ends_s, np.float32),
    )


def write_shard(recordings: list[Recording], path: Path) -> None:
    """Writes to a part file first: a shard that can be seen is complete."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            names=np.array(json.dumps([(r.text, r.voice) for r in recordings])),
            sizes=np.array([(len(r.mel), len(r.word_ends_s), len(r.phones)) for r in recordings]),
            mel=np.concatenate([r.mel for r in recordings]),
            word_ends_s=np.concatenate([r.word_ends_s for r in recordings]),
            phones=np.concatenate([r.phones for r in recordings]),
            phone_ends_s=np.concatenate([r.phone_ends_s for r in recordings]),
        )
    part.replace(path)


def read_shard(path: Path) -> list[Recording]:
    """The recordings of one shard; their arrays are views into it."""
    with np.load(path) as shard:
        names, ends = json.loads(str(shard["names"])), np.cumsum(shard["sizes"], 0)
        mel, word_ends_s = shard["mel"], shard["word_ends_s"]
        phones, phone_ends_s = shard["phones"], shard["phone_ends_s"]
    starts = np.vstack([np.zeros((1, 3), np.int64), ends[:-1]])
    return [
        Recording(
            text,
            voice,
            mel[m0:m1],
            word_ends_s[w0:w1],
            phones[p0:p1],
            phone_ends_s[p0:p1],
        )
        for (text, voice), (m0, w0, p0), (m1, w1, p1) in zip(names, starts, ends, strict=True)
    ]
