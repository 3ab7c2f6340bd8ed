# SPDX-License-Identifier: Apache-2.0
"""Runs a policy in the read/write loop of a caption model, over speech encoded once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream.captions.clock import Clock
from edgestream.captions.step_caption import Caption
from edgestream.events import Final
from edgestream.policy import Policy
from edgestream.scoring.captioned import LEAD_MS
from edgestream.scoring.clips import RATE_HZ, Clip, SpokenWord, padded, silence, spoken
from edgestream.scoring.words import spoken_words
from edgestream.sources.resample import resampled
from edgestream.speech.concatenated.model import Model
from edgestream.speech.concatenated.stages import ConcatenatedStages

TAIL_MS = 1000.0  # of silence behind a clip, longer than any delay


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """A clip as the decoder hears it: embeddings float32 [steps, n_embd] of 80 ms each.

    `spoken` are its words with their ends on the same clock.
    """

    rows: NDArray[np.float32]
    spoken: list[SpokenWord]
    length_ms: float  # up to the end of the clip, without the silence after it


@dataclass(frozen=True, slots=True)
class WrittenWord:
    """A word that was written, by the slot of its last token and how many steps that waited."""

    text: str
    slot: int
    waited: int

    @property
    def shown_step(self) -> int:
        """The step at which the word was whole."""
        return self.slot + self.waited


def encode(model: Model, clips: list[Clip]) -> list[EncodedClip]:
    """Encodes each clip as a stream of its own, with silence around it."""
    stream, model_hz = model.stream(), model.manifest.audio.sample_rate_hz
    stages = stream.stages
    assert isinstance(stages, ConcatenatedStages)
    lead = silence(LEAD_MS)
    lead_ms = 1000 * len(lead) / RATE_HZ
    encoded = []
    for clip in clips:
        stream.reset()
        samples = np.concatenate([lead, padded(clip.samples, TAIL_MS)])
        rows = stages.embeddings(resampled(samples, RATE_HZ, model_hz))
        length_ms = lead_ms + 1000 * len(clip.samples) / RATE_HZ
        encoded.append(EncodedClip(rows, spoken(clip, lead_ms), length_ms))
    return encoded


class PolicyRun:
    """A caption model's loop under one policy; each clip is a stream of its own."""

    def __init__(self, model: Model, policy: Policy, delay_frames: int, deferrals: int) -> None:
        self._model = model
        self._loop = model.loop(policy, delay_frames, deferrals)

    def decode(self, clip: EncodedClip) -> list[WrittenWord]:
        """The words written, each with when it was whole."""
        self._loop.reset()
        tokens, _, waited = self._loop.push(clip.rows)
        return written_words(self._model, tokens, waited)


def written_words(
    model: Model, tokens: NDArray[np.int32], waited: NDArray[np.int32]
) -> list[WrittenWord]:
    """The words of tokens [steps], one for each step; `waited` [steps] is how long each waited."""
    m = model.manifest
    caption = Caption(
        model.pieces,
        Clock(),
        pad=m.tokens.pad,
        step_ms=m.decoder.step_ms,
        delay_frames=0,
    )
    # Without waiting, a word is whole at the end of its last token's slot.
    events = [*caption.push(tokens, np.zeros_like(waited)), *caption.finish()]
    words: list[WrittenWord] = []
    for word in (word for e in events if isinstance(e, Final) for word in e.words):
        slot = round(word.emitted_ms / m.decoder.step_ms) - 1
        texts = spoken_words(word.text)
        words += [WrittenWord(text, slot, int(waited[slot])) for text in texts]
    return words
