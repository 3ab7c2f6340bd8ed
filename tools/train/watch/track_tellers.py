# SPDX-License-Identifier: Apache-2.0
"""Who tells of tracks: the plain rule of `edgestream watch`, or a streaming language model."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
from told_score import Told
from track_rows import Row, TrackRows
from track_words import BOS, END, MAX_TOKENS, SILENCE, WORDS, Saying, saying_of

from edgestream._native import InterleavedLoop, LoopConfig
from edgestream.decoder.open import make_ring, read_gguf
from edgestream.library.manifest.ring import RingSpec
from edgestream.policy import SilenceThreshold
from edgestream.vision.perception.tracker import Step
from edgestream.vision.tracked.story import ENTERS, LEAVES, STAYS, Act, Story

ENCODER, DECODER = "encoder.onnx", "decoder.gguf"
WINDOW, N_SINKS = 256, 1
DELAY_MS = {ENTERS: 0.0, LEAVES: 0.0, "stops": 600.0, "moves": 400.0}  # from event to comment


class RuleTeller:
    """A `Story` of each track; what it says in one stream."""

    def __init__(self, width: int, height: int) -> None:
        self.size = width, height
        self.stories: dict[int, Story] = {}
        self.began_ms: float | None = None

    def push(self, step: Step) -> list[Told]:
        """What happened by this picture."""
        self.began_ms = step.time_ms if self.began_ms is None else self.began_ms
        acts: list[Act] = []
        for track in step.alive:
            if track.number not in self.stories:
                self.stories[track.number] = Story(track, self.began_ms, *self.size)
            acts += self.stories[track.number].push(step.time_ms)
        for track in step.ended:
            if track.number in self.stories:
                acts += self.stories.pop(track.number).end(step.time_ms)
        return [
            Told(a.time_ms, a.known_ms, a.kind, a.side or a.direction or "")
            for a in acts
            if a.kind != STAYS
        ]


class Weights:
    """An exported model of tracks, loaded once."""

    def __init__(self, folder: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.encoder = ort.InferenceSession(
            str(folder / ENCODER), options, providers=["CPUExecutionProvider"]
        )
        self.decoder = read_gguf(folder / DECODER, "cpu")
        self.ring = RingSpec(file=DECODER, n_sinks=N_SINKS, window=WINDOW)

    def loop(self, silence_bias: float) -> InterleavedLoop:
        """As the built-in commentator has it: silence is a score after each row and no row."""
        config = LoopConfig(
            max_tokens_per_unit=MAX_TOKENS, n_text=len(WORDS), silence=SILENCE,
            silence_bias=silence_bias, overrule_silence=True, end_of_turn=[END],
        )  # fmt: skip
        ring = make_ring(self.decoder, self.ring)
        return InterleavedLoop(
            ring, SilenceThreshold(0.0), config, prompt=[BOS], remember_silence=False
        )


class ModelTeller:
    """A row of each active track, then its tokens; what it says in one stream."""

    def __init__(self, weights: Weights, silence_bias: float, width: int, height: int) -> None:
        self.weights, self.loop = weights, weights.loop(silence_bias)
        self.rows = TrackRows(width, height)
        self.n_rows = self.n_broken = 0

    def push(self, step: Step) -> list[Told]:
        """What happened by this picture."""
        told = []
        for k, (one, ended) in enumerate(self.rows.active(step)):
            row = self.rows.row(one, ended, step, k == 0)
            saying = self._says(row)
            if saying is not None:
                self.rows.say(row.track, saying, step.time_ms)
                told.append(Told(_happened_ms(saying, row, step), step.time_ms, *saying))
        return told

    def _says(self, row: Row) -> Saying | None:
        embedding = self.weights.encoder.run(None, {"numbers": row.numbers[None]})[0]
        tokens, _, _ = self.loop.push_unit(embedding)
        self.n_rows += 1
        if not len(tokens):
            return None
        saying = saying_of(tokens.tolist())
        self.n_broken += saying is None
        return saying


def _happened_ms(saying: Saying, row: Row, step: Step) -> float:
    """When it happened: the model says only that it did."""
    if saying[0] == ENTERS:
        return row.track.first.time_ms
    if saying[0] == LEAVES:
        return row.track.seen_ms
    return step.time_ms - DELAY_MS[saying[0]]
