# SPDX-License-Identifier: Apache-2.0
"""Whether anybody speaks: Silero VAD in ONNX (`input` [1, 64 + 512], `state`, `sr` -> `output`).

A gate before a model that invents text in silence, no judge of quality: it looks at 32 ms.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError, OperationError
from edgestream.library.folders import find, read_verified
from edgestream.library.manifest.manifest import VOICE, Manifest
from edgestream.onnx.session import one_line, open_session
from edgestream.speech.reencoded.config import RATE_HZ

Floats = NDArray[np.float32]
VOICE_FILE = "silero_vad.onnx"
BLOCK_SAMPLES, CONTEXT_SAMPLES = 512, 64  # that the network hears at once, at 16 kHz
BLOCK_MS = 1000 * BLOCK_SAMPLES // RATE_HZ
STATE_SHAPE = (2, 1, 128)
ROW_SAMPLES = 160  # that share one answer
INPUTS, STATE_OUT = {"input", "state", "sr"}, "stateN"


class VoiceWeights:
    """The network, loaded once and shared by streams."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError when the file is damaged or no Silero VAD."""
        self.path, self.session = path, open_session(path)
        inputs = {each.name for each in self.session.get_inputs()}
        outputs = {each.name for each in self.session.get_outputs()}
        if inputs != INPUTS or outputs != {"output", STATE_OUT}:
            raise ModelError(
                f"{path}: takes {sorted(inputs)} and gives {sorted(outputs)}; Silero VAD takes"
                f" {sorted(INPUTS)} and gives ['output', '{STATE_OUT}']"[:300]
            )


def load_voice(name: str | os.PathLike[str]) -> VoiceWeights:
    """The network by the name of a model (`silero-vad`), by folder or file.

    Raises:
        ModelError: there is no such model, or it is damaged or no Silero VAD.
    """
    if os.path.isfile(name):
        return VoiceWeights(Path(name))
    folder = find(name)
    manifest = read_verified(folder, Manifest)
    if manifest.family != VOICE or VOICE_FILE not in manifest.files:
        raise ModelError(
            f"{folder}: no voice gate; silero-vad, which ships with edgestream, is one"
        )
    return VoiceWeights(folder / VOICE_FILE)


class VoiceGate:
    """One stream: samples at 16 kHz in, for each 10 ms how likely somebody speaks, 0 to 1."""

    def __init__(self, weights: VoiceWeights) -> None:
        self._weights = weights
        self.reset()
        try:
            self._hear(np.zeros(BLOCK_SAMPLES, np.float32))
        except OperationError as error:
            raise ModelError(f"{error} (on the first block)") from None
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream."""
        self._rest: Floats = np.empty(0, np.float32)
        self._context: Floats = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._state: Floats = np.zeros(STATE_SHAPE, np.float32)
        self._n_blocks = self._n_rows = 0

    def push(self, samples: Floats) -> Floats:
        """Samples [n] to answers for the rows that are decided [m]."""
        samples = np.concatenate([self._rest, samples])
        answers = []
        while len(samples) >= BLOCK_SAMPLES:
            block, samples = samples[:BLOCK_SAMPLES], samples[BLOCK_SAMPLES:]
            answers.append(self._rows(self._hear(block)))
        self._rest = samples
        return np.concatenate(answers) if answers else np.empty(0, np.float32)

    def finish(self) -> Floats:
        """The last block, filled with silence."""
        if not len(self._rest):
            return np.empty(0, np.float32)
        return self.push(np.zeros(BLOCK_SAMPLES - len(self._rest), np.float32))

    def _rows(self, voice: float) -> Floats:
        """Rows whose middle lies before the end of this block."""
        self._n_blocks += 1
        known = (self._n_blocks * BLOCK_SAMPLES + ROW_SAMPLES // 2) // ROW_SAMPLES
        rows = np.full(known - self._n_rows, voice, np.float32)
        self._n_rows = known
        return rows

    def _hear(self, block: Floats) -> float:
        heard = np.concatenate([self._context, block])
        feed = {"input": heard[None], "state": self._state, "sr": np.array(RATE_HZ, np.int64)}
        try:
            output, self._state = self._weights.session.run(["output", STATE_OUT], feed)
        except Exception as error:  # onnxruntime raises its own types, not one base
            raise OperationError(
                f"{self._weights.path}: onnxruntime failed: {one_line(error)}"
            ) from None
        self._context = block[-CONTEXT_SAMPLES:]
        return float(output.reshape(-1)[0])
