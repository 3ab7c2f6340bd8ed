# SPDX-License-Identifier: Apache-2.0
"""Samples to the rows of a re-encoded window, 10 ms each, as `EncoderDecoder` takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgestream._native import LogMel, MelScale
from edgestream.speech.reencoded.config import RATE_HZ
from edgestream.speech.reencoded.voice import VoiceGate
from edgestream.speech.reencoded.weights import CODE, HOP_SAMPLES, PAYLOAD

Floats = NDArray[np.float32]
WINDOW_SAMPLES = 400  # of a mel frame
HALF = WINDOW_SAMPLES // 2
# The native mel looks back, Whisper's frame i is centred on sample i * hop. With the reflected
# start and this many zeros in front of it the two meet, FIRST_FRAME frames later.
LEAD_SAMPLES, FIRST_FRAME = 80, 2


class CentredMel:
    """Whisper's log10-mel before its normalisation, which needs the whole window.

    Frame i is centred on sample i * hop, the start of the stream reflected, zeros behind its end
    (`WhisperFeatureExtractor` of transformers, n_fft 400, hop 160, Slaney mel).
    """

    silence = -10.0  # of each number of a frame: log10 of its floor

    def __init__(self, n_mels: int) -> None:
        self._mel = LogMel(
            sample_rate_hz=RATE_HZ, window_samples=WINDOW_SAMPLES, hop_samples=HOP_SAMPLES,
            fft_size=WINDOW_SAMPLES, n_bins=n_mels, min_hz=0, max_hz=RATE_HZ / 2, log_floor=1e-10,
            scale=MelScale.slaney,
        )  # fmt: skip
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._mel.reset()
        self._start: Floats | None = np.empty(0, np.float32)  # until it can be reflected
        self._n_samples = 0
        self._n_frames = 0

    def push(self, samples: Floats) -> Floats:
        """Samples [n] at 16 kHz to the frames [m, n_mels] that they complete."""
        self._n_samples += len(samples)
        if self._start is not None:
            self._start = np.concatenate([self._start, samples])
            if len(self._start) <= HALF:
                return np.empty((0, self._mel.n_bins), np.float32)
            samples, self._start = self._reflected(self._start), None
        frames = self._mel.push(np.ascontiguousarray(samples))
        first = min(len(frames), max(0, FIRST_FRAME - self._n_frames))
        self._n_frames += len(frames)
        return frames[first:]

    def finish(self) -> Floats:
        """Frames that reach over the end of the samples."""
        if not self._n_samples:
            return np.empty((0, self._mel.n_bins), np.float32)
        n_wanted = -(-(self._n_samples + HALF) // HOP_SAMPLES)
        silence = np.zeros(WINDOW_SAMPLES + HOP_SAMPLES, np.float32)
        n_known = max(0, self._n_frames - FIRST_FRAME)
        return self.push(silence)[: n_wanted - n_known]

    @staticmethod
    def _reflected(start: Floats) -> Floats:
        lead = np.zeros(LEAD_SAMPLES, np.float32)
        return np.concatenate([lead, start[HALF:0:-1], start])


class SampleFrames:
    """Raw samples in frames of 10 ms, for a model that hears samples."""

    silence = 0.0  # of each sample

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._rest: Floats = np.empty(0, np.float32)

    def push(self, samples: Floats) -> Floats:
        """Samples [n] to frames [m, 160]; the rest waits."""
        samples = np.concatenate([self._rest, samples])
        n_frames = len(samples) // HOP_SAMPLES
        self._rest = samples[n_frames * HOP_SAMPLES :]
        return samples[: n_frames * HOP_SAMPLES].reshape(n_frames, HOP_SAMPLES)

    def finish(self) -> Floats:
        """The rest [0 or 1, fewer than 160]."""
        return self._rest[None] if len(self._rest) else np.empty((0, HOP_SAMPLES), np.float32)


class WindowRows:
    """Frames as rows that say how many numbers they hold, and the voice in each."""

    def __init__(
        self, frames: CentredMel | SampleFrames, width: int, gate: VoiceGate | None
    ) -> None:
        """Without a `gate` somebody speaks all the time."""
        self._frames, self._width, self._gate = frames, width, gate
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._frames.reset()
        if self._gate:
            self._gate.reset()
        self._waiting: Floats = np.empty((0, PAYLOAD + self._width), np.float32)
        self._voices: Floats = np.empty(0, np.float32)

    def silence(self, n_rows: int) -> Floats:
        """Rows [n_rows, 1 + width] in which there is no sound."""
        return self._as_rows(np.full((n_rows, self._width), self._frames.silence, np.float32))

    def push(self, samples: Floats) -> tuple[Floats, Floats]:
        """Samples [n] to rows [m, 1 + width] and the probability of a voice in each [m]."""
        self._wait_for(self._frames.push(samples))
        if self._gate:
            self._voices = np.concatenate([self._voices, self._gate.push(samples)])
            return self._take(min(len(self._waiting), len(self._voices)))
        return self._take(len(self._waiting))

    def finish(self) -> tuple[Floats, Floats]:
        """The rows that still waited."""
        self._wait_for(self._frames.finish())
        if self._gate:
            self._voices = np.concatenate([self._voices, self._gate.finish()])
            missing = max(0, len(self._waiting) - len(self._voices))
            self._voices = np.pad(self._voices, (0, missing))  # beyond the end nobody speaks
        return self._take(len(self._waiting))

    def _wait_for(self, frames: Floats) -> None:
        self._waiting = np.concatenate([self._waiting, self._as_rows(frames)])

    def _as_rows(self, frames: Floats) -> Floats:
        rows = np.zeros((len(frames), PAYLOAD + self._width), np.float32)
        rows[:, CODE] = -frames.shape[1]
        rows[:, PAYLOAD : PAYLOAD + frames.shape[1]] = frames
        return rows

    def _take(self, n_rows: int) -> tuple[Floats, Floats]:
        rows, self._waiting = self._waiting[:n_rows], self._waiting[n_rows:]
        voices = np.ones(n_rows, np.float32)
        if self._gate:
            voices, self._voices = self._voices[:n_rows], self._voices[n_rows:]
        return rows, voices
