# SPDX-License-Identifier: Apache-2.0
"""Reads paths of sound files from stdin; writes the words of each with their ends, as JSON.

faster-whisper, the base model in float32, the best of five: times by the alignment of its
cross-attention (DTW).
"""

from __future__ import annotations

import json
import sys

from faster_whisper import WhisperModel

model = WhisperModel(sys.argv[1], device="cpu", compute_type="float32", cpu_threads=1)
for line in sys.stdin:
    segments, _ = model.transcribe(
        line.rstrip("\n"),
        language="en",
        beam_size=5,
        condition_on_previous_text=False,
        word_timestamps=True,
    )
    words = [(word.word, word.end) for segment in segments for word in segment.words]
    print(json.dumps(words), flush=True)
