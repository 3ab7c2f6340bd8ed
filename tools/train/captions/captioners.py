# SPDX-License-Identifier: Apache-2.0
"""Two ways to caption a signal: a checkpoint in PyTorch, a model directory in the runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from features import log_mel
from numpy.typing import NDArray
from shape import HOP_SAMPLES, MEL_PER_STEP, STEP_S, UNKNOWN

STEP_SAMPLES = HOP_SAMPLES * MEL_PER_STEP
SPACE = "\u2581"  # marks the first token of a word

Signal = NDArray[np.float32]  # [n] at 16 kHz
Words = list[tuple[float, str]]  # (second at which it was written, word)


class Captioner(Protocol):
    """Captions signals, each a stream of its own."""

    def captions(self, signals: list[Signal]) -> list[Words]: ...


class CheckpointCaptioner:
    """A checkpoint of train.py; the signals run side by side in one batch."""

    def __init__(
        self, checkpoint: Path, tokenizer: Path, delay_frames: int, pad_bias: float
    ) -> None:
        from network import load_network  # neither is needed to measure a model directory
        from tokenizers import Tokenizer

        self._network = load_network(checkpoint)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._delay_frames, self._pad_bias = delay_frames, pad_bias

    def captions(self, signals: list[Signal]) -> list[Words]:
        import torch

        n = max(len(s) for s in signals)
        n = -(-n // STEP_SAMPLES) * STEP_SAMPLES
        mel = torch.from_numpy(np.stack([log_mel(np.pad(s, (0, n - len(s)))) for s in signals]))
        rows = self._network.caption(mel, self._delay_frames, self._pad_bias).tolist()
        return [self._words(row) for row in rows]

    def _words(self, tokens: list[int]) -> Words:
        words: Words = []
        for step, token in enumerate(tokens):
            if token <= UNKNOWN:
                continue
            piece = self._tokenizer.id_to_token(token)
            if piece.startswith(SPACE) or not words:
                words.append(((step + 1) * STEP_S, piece.removeprefix(SPACE)))
            else:
                words[-1] = (words[-1][0], words[-1][1] + piece)
        return words


class RuntimeCaptioner:
    """A model directory in edgestream, as users run it."""

    def __init__(self, folder: Path, delay_frames: int | None) -> None:
        import edgestream

        self._model = edgestream.load(folder)
        self._delay_ms = None if delay_frames is None else delay_frames * STEP_S * 1000

    def captions(self, signals: list[Signal]) -> list[Words]:
        return [self._caption(signal) for signal in signals]

    def _caption(self, signal: Signal) -> Words:
        stream = self._model.stream(delay_ms=self._delay_ms)
        events: list[Any] = []
        for start in range(0, len(signal), STEP_SAMPLES):
            events += stream.push(signal[start : start + STEP_SAMPLES])
        finals = [e for e in events + stream.finish() if hasattr(e, "words")]
        return [(w.emitted_ms / 1000, w.text) for final in finals for w in final.words]
