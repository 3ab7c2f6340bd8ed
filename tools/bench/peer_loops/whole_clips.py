# SPDX-License-Identifier: Apache-2.0
"""faster-whisper as most programs use it: the whole recording at once, when it has ended."""

from __future__ import annotations

import sys

import numpy as np
from child import serve
from faster_whisper import WhisperModel


class WholeClips:
    def __init__(self, folder: str) -> None:
        self._model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)
        self._heard: list[np.ndarray] = []

    def push(self, samples: np.ndarray) -> tuple[str, str | None]:
        self._heard.append(samples)
        return "", None

    def finish(self) -> tuple[str, str | None]:
        segments, _ = self._model.transcribe(
            np.concatenate(self._heard),
            language="en",
            beam_size=1,
            condition_on_previous_text=False,
        )
        self._heard = []
        return " ".join(segment.text for segment in segments), ""


if __name__ == "__main__":
    serve(WholeClips(sys.argv[1]))
