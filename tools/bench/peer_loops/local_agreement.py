# SPDX-License-Identifier: Apache-2.0
"""LocalAgreement over faster-whisper (Macháček, Dabre and Bojar 2023, "Turning Whisper into
Real-Time Transcription System"), with the settings of its authors' program whisper_streaming.

Every second of sound the whole buffer is transcribed anew, with times of words. What two
transcriptions in a row agree on is committed. A buffer of more than 15 s loses the segments that
were committed whole; their last 200 characters are the prompt of what follows.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from child import serve
from faster_whisper import WhisperModel

RATE_HZ = 16000
CHUNK_S = 1.0
BUFFER_S = 15.0  # a longer one is cut
PROMPT_LETTERS = 200
OVERLAP_S = 0.1  # a word that begins so much before the last committed one ends is not new
NEAR_S = 1.0  # a hypothesis that begins so near to the last commitment may repeat its words
MOST_REPEATED = 5
NO_SPEECH = 0.9  # segments that are surer of silence are dropped
BEAM = 5


@dataclass(frozen=True)
class Heard:
    """A word, in seconds of the stream."""

    start_s: float
    end_s: float
    text: str


class LocalAgreement:
    def __init__(self, folder: str) -> None:
        self._model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)
        self._start()

    def _start(self) -> None:
        self._buffer = np.zeros(0, np.float32)
        self._buffer_at_s = 0.0
        self._new_samples = 0
        self._committed: list[Heard] = []
        self._pending: list[Heard] = []  # the last hypothesis, as far as it is not committed

    def push(self, samples: np.ndarray) -> tuple[str, str | None]:
        self._buffer = np.concatenate([self._buffer, samples])
        self._new_samples += len(samples)
        if self._new_samples < CHUNK_S * RATE_HZ:
            return "", None
        return self._step()

    def finish(self) -> tuple[str, str | None]:
        committed = self._step()[0] if self._new_samples else ""
        rest = "".join(word.text for word in self._pending)
        self._start()
        return f"{committed} {rest}", ""

    def _step(self) -> tuple[str, str | None]:
        self._new_samples = 0
        words, ends_s = self._transcribe()
        agreed = self._agree(self._without_committed(words))
        self._committed += agreed
        if len(self._buffer) > BUFFER_S * RATE_HZ:
            self._cut(ends_s)
        draft = "".join(word.text for word in self._pending)
        return "".join(word.text for word in agreed), draft

    def _transcribe(self) -> tuple[list[Heard], list[float]]:
        """All words of the buffer, and where its segments end."""
        segments, _ = self._model.transcribe(
            self._buffer,
            language="en",
            initial_prompt=self._prompt(),
            beam_size=BEAM,
            word_timestamps=True,
            condition_on_previous_text=True,
        )
        words, ends_s = [], []
        for segment in segments:
            ends_s.append(segment.end + self._buffer_at_s)
            if segment.no_speech_prob <= NO_SPEECH:
                for word in segment.words:
                    start_s, end_s = word.start + self._buffer_at_s, word.end + self._buffer_at_s
                    words.append(Heard(start_s, end_s, word.word))
        return words, ends_s

    def _prompt(self) -> str:
        """What was committed and has left the buffer, its last letters."""
        gone = "".join(word.text for word in self._committed if word.end_s <= self._buffer_at_s)
        return gone[-PROMPT_LETTERS:]

    def _without_committed(self, words: list[Heard]) -> list[Heard]:
        """A hypothesis from where the last commitment ended."""
        if not self._committed:
            return words
        last_s = self._committed[-1].end_s
        words = [word for word in words if word.start_s > last_s - OVERLAP_S]
        if words and abs(words[0].start_s - last_s) < NEAR_S:
            inside = [word for word in self._committed if word.end_s > self._buffer_at_s]
            for n in range(1, min(len(inside), len(words), MOST_REPEATED) + 1):
                if [w.text for w in inside[-n:]] == [w.text for w in words[:n]]:
                    return words[n:]
        return words

    def _agree(self, words: list[Heard]) -> list[Heard]:
        """The start that this hypothesis and the one before it have in common."""
        n = 0
        while n < min(len(words), len(self._pending)) and words[n].text == self._pending[n].text:
            n += 1
        self._pending = words[n:]
        return words[:n]

    def _cut(self, ends_s: list[float]) -> None:
        """Drops the segments before the last whole one that is committed."""
        if not self._committed:
            return
        last_s = self._committed[-1].end_s
        whole = [end_s for end_s in ends_s[:-1] if end_s <= last_s]
        if whole:
            n_samples = round((whole[-1] - self._buffer_at_s) * RATE_HZ)
            self._buffer = self._buffer[n_samples:]
            self._buffer_at_s = whole[-1]


if __name__ == "__main__":
    serve(LocalAgreement(sys.argv[1]))
