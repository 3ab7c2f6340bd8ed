# SPDX-License-Identifier: Apache-2.0
"""A vision-language model's folder, loaded once; builds the stages of as many streams as wanted."""

from __future__ import annotations

import math
import os
import warnings
from functools import partial
from pathlib import Path

from edgestream._native import (
    InterleavedLoop,
    LoopConfig,
    RingDecoder,
    SamplerConfig,
    TurnLoop,
)
from edgestream.decoder.open import read_gguf
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import ModelError, UsageError
from edgestream.library.folders import find, read_verified
from edgestream.library.manifest.manifest import DEFAULT_COMMENTATOR, MANIFEST
from edgestream.library.manifest.vlm import INTERLEAVED, LAYOUTS, PICTURES, TRACKS, VlmManifest
from edgestream.policy import AllOf, OutsideThreshold, Policy, SilenceThreshold
from edgestream.vision.chattiness import Chattiness, Novelty
from edgestream.vision.gates import PictureGate, RowGate
from edgestream.vision.governor import Levers, intervals
from edgestream.vision.tracked.follower import Follower
from edgestream.vision.tracked.model import TrackWatcher
from edgestream.vision.vlm.answer import Answerer
from edgestream.vision.vlm.chat import ChatTurns, after_picture, chat_turns, question_turn
from edgestream.vision.vlm.crops import Crops
from edgestream.vision.vlm.memory import Memory
from edgestream.vision.vlm.stages import VlmCommentator
from edgestream.vision.vlm.tower import VisionTower
from edgestream.vision.vlm.tracked_stages import VlmTrackCommentator
from edgestream.vision.vlm.units import UnitTemplate
from edgestream.vision.watcher import Focus, Watcher

COMPARED_PX = 96, 72  # width and height in which pictures are compared
TILE_PX = 8
MEMORY_TIMES = 15.0  # as long as the built-in commentator's: sentences are told more slowly
MAX_ALIKE = 0.75  # share of words that two comments may have in common
ALWAYS = -1.0  # below every share of change
MIN_TOKENS = 8  # of a comment that is given up no further
MIN_ROWS = 16  # likewise of a picture
MIN_PICTURES = 2  # that the memory holds, else nothing could be dropped of the second


class VlmModel(Watcher):
    """Weights and manifest of one model; may be shared between threads."""

    manifest: VlmManifest

    def __init__(self, folder: Path, *, decoder_device: str | None = None) -> None:
        """Raises ModelError when a file is missing, damaged, not supported, or of another model."""
        self.folder = folder
        self.manifest = m = read_verified(folder, VlmManifest)
        path = folder / m.decoder.file
        self.decoder = read_gguf(path, decoder_device or m.decoder.device)
        self.n_threads = max(1, (os.cpu_count() or 1) // 2)  # of a core's two threads one
        self.tokenizer = Tokenizer(path)
        self.tower = VisionTower(
            folder / m.tower.file,
            self.tokenizer,
            n_embd=self.decoder.n_embd,
            max_cells=m.pictures.max_rows,
            n_threads=self.n_threads,
        )
        self._turns("")
        asks = m.policy.asks == TRACKS
        self.watcher = _watcher(folder / MANIFEST) if asks else None

    @property
    def answers(self) -> bool:
        """Whether its streams can be asked."""
        return self.manifest.decoder.layout == INTERLEAVED

    @property
    def fps(self) -> float:
        """Pictures a second that a stream looks at, at most."""
        return self.watcher.fps if self.watcher else self.manifest.pictures.fps

    def _levers(self, fps: float) -> Levers:
        """Shorter comments, fewer pictures and, where they may have any size, smaller ones."""
        n, rows = self.manifest.policy.max_tokens, self.tower.max_rows
        smaller = () if self.tower.is_fixed else (rows, rows // 2, rows // 4)
        return Levers(
            (n, *(t for t in (n // 2, n // 4) if t >= MIN_TOKENS)),
            intervals(fps),
            tuple(r for r in smaller if r >= MIN_ROWS),
        )

    def _turns(self, prompt: str) -> ChatTurns:
        spec = self.manifest.prompt
        told = " ".join(text for text in (spec.system, prompt) if text)
        projector = self.tower.shape.projector
        turns = chat_turns(projector, self.tokenizer, told, spec.question)
        room = self.manifest.decoder.text_sink or self.manifest.decoder.text_window
        if len(turns.prompt) > room:
            raise UsageError(
                f"{self.manifest.name}: a prompt of {len(turns.prompt)} tokens, its memory keeps"
                f" {room}; make it shorter or decoder.text_sink in {MANIFEST} larger"
            )
        return turns

    @property
    def _silence(self) -> int | None:
        """The token, if one says it all: of a longer phrase it is known when it was said."""
        tokens = self.tokenizer.encode(self.manifest.prompt.silence, add_special=False)
        return tokens[0] if len(tokens) == 1 else None

    def _layout(self, layout: str | None) -> str:
        named = self.manifest.decoder.layout if layout is None else layout
        if named not in LAYOUTS:
            raise UsageError(f"layout is {named!r}; it must be one of {', '.join(LAYOUTS)}")
        if named != INTERLEAVED:
            warnings.warn(
                f"layout {named!r}: {self.manifest.name} may say worse things than with"
                f" {INTERLEAVED!r} unless it was trained so",
                stacklevel=4,  # whoever calls stream()
            )
        return named

    def _commentator(
        self, chattiness: Chattiness, prompt: str | None, fps: float, layout: str | None,
        focus: Focus,
    ) -> VlmCommentator | VlmTrackCommentator:  # fmt: skip
        turns, named = self._turns(prompt or ""), self._layout(layout)
        if self.watcher:
            return self._of_tracks(self.watcher.follower(chattiness, focus), turns, named)
        self._expect_no(zones=focus.zones, only=focus.only)
        return self._of_pictures(chattiness, turns, fps, named)

    def _of_pictures(
        self, chattiness: Chattiness, turns: ChatTurns, fps: float, layout: str
    ) -> VlmCommentator:
        """It looks at each picture that changed."""
        m, template = self.manifest, UnitTemplate(self.decoder, turns)
        window = self._window(template, fps)
        policy = AllOf(
            OutsideThreshold(self._min_change(chattiness), stay=ALWAYS),
            SilenceThreshold(m.policy.silence),
        )
        memory = self._memory(turns, window)
        loop, answerer = self._loop(memory, policy, layout, chattiness.silence_bias)
        return VlmCommentator(
            picture_gate=PictureGate(
                *COMPARED_PX, tile_px=TILE_PX, min_difference=m.pictures.min_difference
            ),
            tower=self.tower,
            row_gate=RowGate(
                self.decoder.n_embd,
                max_cosine=m.pictures.max_cosine,
                memory_rows=window,
                rows_besides=template.rows_besides,
            ),
            template=template,
            loop=loop,
            tokenizer=self.tokenizer,
            novelty=Novelty(MEMORY_TIMES * chattiness.memory_ms, max_alike=MAX_ALIKE),
            silence=m.prompt.silence,
            min_change=self._min_change(chattiness),
            continues=m.policy.continues,
            answerer=answerer,
        )

    def _of_tracks(self, follower: Follower, turns: ChatTurns, layout: str) -> VlmTrackCommentator:
        """It looks at what the follower tells of, which alone is more or less chatty."""
        m, template = self.manifest, UnitTemplate(self.decoder, turns)
        memory = self._memory(turns, self._window(template, m.pictures.fps))
        loop, answerer = self._loop(memory, SilenceThreshold(m.policy.silence), layout, 0.0)
        return VlmTrackCommentator(
            follower=follower,
            crops=Crops(self.tower.max_pixels),
            tower=self.tower,
            template=template,
            turn_after=partial(after_picture, self.tower.shape.projector, self.tokenizer),
            question=m.prompt.question,
            loop=loop,
            tokenizer=self.tokenizer,
            silence=m.prompt.silence,
            answerer=answerer,
        )

    def _min_change(self, chattiness: Chattiness) -> float:
        """None at all at the chattiest, twice the usual at the quietest."""
        return 2 * (1 - chattiness.value) * self.manifest.policy.min_change

    def _window(self, template: UnitTemplate, fps: float) -> int:
        """Rows of pictures that the memory keeps."""
        n_pictures = max(MIN_PICTURES, math.ceil(self.manifest.decoder.vision_window_s * fps))
        return n_pictures * (self.tower.max_rows + template.rows_besides)

    def _memory(self, turns: ChatTurns, window: int) -> Memory:
        return Memory(
            decoder=self.decoder,
            spec=self.manifest.decoder,
            turns=turns,
            window=window,
            n_threads=self.n_threads,
        )

    def _loop(
        self, memory: Memory, policy: Policy, layout: str, silence_bias: float
    ) -> tuple[TurnLoop, Answerer | None]:
        m, silence = self.manifest, self._silence
        config = LoopConfig(
            max_tokens_per_unit=m.policy.max_tokens,
            max_tokens_at_end=m.policy.max_tokens,
            silence=silence,
            silence_bias=silence_bias,
            overrule_silence=silence is not None,
            end_of_turn=list(memory.turns.ends),
            sampler=SamplerConfig(repetition_penalty=m.policy.repetition_penalty),
        )
        if layout != INTERLEAVED:
            rows = self.tower.max_rows
            return memory.grouped(policy, config, layout=layout, picture_rows=rows), None
        ring, loop = memory.interleaved(policy, config, remember_silence=silence is not None)
        return loop, self._answerer(memory, ring, loop)

    def _answerer(self, memory: Memory, ring: RingDecoder, loop: InterleavedLoop) -> Answerer:
        return Answerer(
            ring=ring,
            loop=loop,
            tokenizer=self.tokenizer,
            question_turn=partial(question_turn, self.tower.shape.projector, self.tokenizer),
            answer=memory.turns.answer,
            ends=memory.turns.ends,
            max_question_tokens=memory.spec.text_window // 2,
            placing=memory.placing,
            text_region=memory.text_region,
            picture_region=memory.picture_region,
        )


def _watcher(manifest: Path) -> TrackWatcher:
    """What follows things for the model that this manifest is of.

    Raises:
        ModelError: it is not on this machine, or damaged.
    """
    try:
        folder = find(DEFAULT_COMMENTATOR)
    except ModelError:
        raise ModelError(
            f'{manifest}: policy.asks = "{TRACKS}" needs {DEFAULT_COMMENTATOR}, which ships with'
            f' edgestream and is not here; install edgestream again, or set it to "{PICTURES}"'
        ) from None
    return TrackWatcher(folder)
