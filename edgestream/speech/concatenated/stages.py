# SPDX-License-Identifier: Apache-2.0
"""The concatenated family's stages in a row: samples in, events out, a token for each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream._native import Chunker, ConcatenatedLoop, LogMel
from edgestream.captions.step_caption import Caption
from edgestream.errors import computing
from edgestream.events import Event
from edgestream.onnx.encoder import Encoder
from edgestream.speech.concatenated.waveform import Lead, Waveform


@dataclass(slots=True)
class ConcatenatedStages:
    """One stream's stages in the order that data takes."""

    lead: Lead  # samples [n] at the model's rate, silence before the first of them
    mel: LogMel | Waveform  # -> [frames, n_mels]
    chunker: Chunker  # [frames, n_mels] -> [chunks, chunk_frames, n_mels]
    encoder: Encoder  # -> [steps, n_embd]
    loop: ConcatenatedLoop  # -> tokens [steps] and how long each waited
    caption: Caption  # -> events

    def reset(self) -> None:
        """Back to an empty stream."""
        for stage in (self.lead, self.mel, self.chunker, self.encoder, self.loop, self.caption):
            stage.reset()

    def push(self, samples: NDArray[np.float32]) -> list[Event]:
        """Samples [n] at the model's rate to the events that they make."""
        return self._decode(self.embeddings(samples))

    def embeddings(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Samples [n] at the model's rate to what the decoder reads of them [steps, n_embd]."""
        return self._encode(self.chunker.push(self.mel.push(self.lead.push(samples))))

    def finish(self, silence: NDArray[np.float32]) -> list[Event]:
        """Writes what is still held, with `silence` behind it, and closes the open line."""
        self.loop.end_input()  # no slot is put off in the silence behind it
        mel = np.concatenate([self.mel.push(self.lead.push(silence)), self.mel.finish()])
        chunks = np.concatenate([self.chunker.push(mel), self.chunker.finish()])
        return self._decode(self._encode(chunks)) + self.close_line()

    def close_line(self) -> list[Event]:
        """The line that is still open, if any."""
        return self.caption.finish()

    def _encode(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        with computing():
            return self.encoder.push(chunks)

    def _decode(self, embeddings: NDArray[np.float32]) -> list[Event]:
        with computing():
            tokens, _, waited = self.loop.push(embeddings)
        return self.caption.push(tokens, waited)
