# SPDX-License-Identifier: Apache-2.0
"""A vision-language model's folder, loaded once; builds the stages of as many streams as wanted."""

from __future__ import annotations

import math
import os
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from edgestream._native import (
    GroupedLoop,
    InterleavedLoop,
    LoopConfig,
    RingDecoder,
    SamplerConfig,
    TurnLoop,
)
from edgestream.decoder.open import read_gguf
from edgestream.decoder.tokenizer import Tokenizer
from edgestream.errors import UsageError
from edgestream.library.folders import read_verified
from edgestream.library.manifest.manifest import MANIFEST
from edgestream.library.manifest.vlm import INTERLEAVED, LAYOUTS, VlmManifest
from edgestream.policy import AllOf, OutsideThreshold, Policy, SilenceThreshold
from edgestream.vision.chattiness import Chattiness, Novelty
from edgestream.vision.gates import PictureGate, RowGate
from edgestream.vision.governor import Levers, intervals
from edgestream.vision.vlm.answer import Answerer
from edgestream.vision.vlm.chat import ChatTurns, chat_turns, question_turn
from edgestream.vision.vlm.stages import VlmCommentator
from edgestream.vision.vlm.tower import VisionTower
from edgestream.vision.vlm.units import UnitTemplate
from edgestream.vision.watcher import Focus, Watcher

COMPARED_PX = 96, 72  # width and height in which pictures are compared
TILE_PX = 8
MEMORY_TIMES = 15.0  # as long as the built-in commentator's: sentences are told more slowly
MAX_ALIKE = 0.75  # share of words that two comments may have in common
ALWAYS = -1.0  # below every share of change
MIN_TOKENS = 8  # of a comment that is given up no further
MIN_ROWS = 16  # likewise of a picture
MAX_ROWS, MOST_ROWS = 32, 256  # computed at once: usually, and where more are one batch
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

    @property
    def answers(self) -> bool:
        """Whether its streams can be asked."""
        return self.manifest.decoder.layout == INTERLEAVED

    @property
    def fps(self) -> float:
        """Pictures a second that a stream looks at, at most."""
        return self.manifest.pictures.fps

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
    ) -> VlmCommentator:  # fmt: skip
        self._expect_no(zones=focus.zones, only=focus.only)
        m, turns = self.manifest, self._turns(prompt or "")
        template = UnitTemplate(self.decoder, turns)
        picture_rows = self.tower.max_rows + template.rows_besides
        n_pictures = max(MIN_PICTURES, math.ceil(m.decoder.vision_window_s * fps))
        window = n_pictures * picture_rows
        loop, answerer = self._loop(chattiness, turns, window, self._layout(layout))
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

    def _min_change(self, chattiness: Chattiness) -> float:
        """None at all at the chattiest, twice the usual at the quietest."""
        return 2 * (1 - chattiness.value) * self.manifest.policy.min_change

    def _loop(
        self, chattiness: Chattiness, turns: ChatTurns, window: int, layout: str
    ) -> tuple[TurnLoop, Answerer | None]:
        m = self.manifest
        silence = self._silence
        config = LoopConfig(
            max_tokens_per_unit=m.policy.max_tokens,
            max_tokens_at_end=m.policy.max_tokens,
            silence=silence,
            silence_bias=chattiness.silence_bias,
            overrule_silence=silence is not None,
            end_of_turn=list(turns.ends),
            sampler=SamplerConfig(repetition_penalty=m.policy.repetition_penalty),
        )
        policy = AllOf(
            OutsideThreshold(self._min_change(chattiness), stay=ALWAYS),
            SilenceThreshold(m.policy.silence),
        )
        make = self._interleaved if layout == INTERLEAVED else self._grouped
        return make(policy, config, turns, window, layout)

    def _interleaved(
        self, policy: Policy, config: LoopConfig, turns: ChatTurns, window: int, _: str
    ) -> tuple[InterleavedLoop, Answerer]:
        """Sink, text and pictures each have their own rows, one behind the other on one clock."""
        spec = self.manifest.decoder
        sink = [("sink", spec.text_sink)] if spec.text_sink else []
        regions = [*sink, ("text", spec.text_window), ("vision", window)]
        ring = RingDecoder(
            self.decoder,
            n_sinks=0,
            window=regions,
            kv_type=spec.kv_type,
            n_threads=self.n_threads,
        )
        text = len(regions) - 2
        placing: dict[str, Any] = {
            "prompt": list(turns.prompt),
            "output_region": text,
            "attention_sink_region": 0 if sink else -1,
            "n_sinks": spec.text_sink,
        }
        loop = InterleavedLoop(
            ring,
            policy,
            config,
            after_unit=list(turns.answer),
            after_turn=list(turns.after_answer),
            after_silence=[turns.ends[0], *turns.after_answer],
            remember_silence=self._silence is not None,
            input_region=len(regions) - 1,
            **placing,
        )
        asked = partial(question_turn, self.tower.shape.projector, self.tokenizer)
        return loop, Answerer(
            ring, loop, self.tokenizer, asked, turns.ends, spec.text_window // 2,
            placing | {"input_region": text},
        )  # fmt: skip

    def _rows_at_once(self, turns: ChatTurns) -> int:
        """A power of two that holds a whole picture's turn and what is being said: one batch."""
        besides = (turns.before_picture, turns.after_picture, turns.answer, turns.after_answer)
        n_rows = self.tower.max_rows + sum(map(len, besides)) + 1
        return min(MOST_ROWS, max(MAX_ROWS, 1 << (n_rows - 1).bit_length()))

    def _grouped(
        self, policy: Policy, config: LoopConfig, turns: ChatTurns, window: int, layout: str
    ) -> tuple[TurnLoop, None]:
        """Pictures never see comments; a comment goes on while pictures come."""
        spec = self.manifest.decoder
        name, gapped = LAYOUTS[layout]
        ring = RingDecoder(
            self.decoder,
            n_sinks=len(turns.prompt),
            window=[("vision", window), ("text", spec.text_window)],
            layout=name,
            gap=spec.gap if gapped else 0,
            kv_type=spec.kv_type,
            n_threads=self.n_threads,
            max_rows=self._rows_at_once(turns),
        )
        loop = GroupedLoop(
            ring,
            policy,
            config,
            output_prompt=list(turns.answer),
            input_prompt=list(turns.prompt),
            after_turn=[*turns.after_answer, *turns.answer],
        )
        return loop, None
