# SPDX-License-Identifier: Apache-2.0
"""The memory of one stream: a ring for pictures and text, and the loop that reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgestream._native import (
    GgufModel,
    GroupedLoop,
    InterleavedLoop,
    LoopConfig,
    RingDecoder,
)
from edgestream.library.manifest.vlm import LAYOUTS, VlmDecoderSpec
from edgestream.policy import Policy
from edgestream.vision.vlm.chat import ChatTurns

MAX_ROWS, MOST_ROWS = 32, 256  # computed at once: usually, and where more are one batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What every layout's memory is made of; `window` is its number of rows for pictures."""

    decoder: GgufModel
    spec: VlmDecoderSpec
    turns: ChatTurns
    window: int
    n_threads: int

    @property
    def regions(self) -> list[tuple[str, int]]:
        """Sink, text and pictures each have their own rows, one behind the other on one clock."""
        sink = [("sink", self.spec.text_sink)] if self.spec.text_sink else []
        return [*sink, ("text", self.spec.text_window), ("vision", self.window)]

    @property
    def text_region(self) -> int:
        """Where text goes behind the sink."""
        return len(self.regions) - 2

    @property
    def picture_region(self) -> int:
        """Where pictures go."""
        return len(self.regions) - 1

    @property
    def placing(self) -> dict[str, Any]:
        """How an interleaved loop uses the regions, but for where its input goes."""
        return {
            "prompt": list(self.turns.prompt),
            "output_region": self.text_region,
            "attention_sink_region": 0 if self.spec.text_sink else -1,
            "n_sinks": self.spec.text_sink,
        }

    def interleaved(
        self, policy: Policy, config: LoopConfig, *, remember_silence: bool
    ) -> tuple[RingDecoder, InterleavedLoop]:
        """Pictures and comments as one stream."""
        turns = self.turns
        ring = RingDecoder(
            self.decoder,
            n_sinks=0,
            window=self.regions,
            kv_type=self.spec.kv_type,
            n_threads=self.n_threads,
        )
        loop = InterleavedLoop(
            ring,
            policy,
            config,
            after_unit=list(turns.answer),
            after_turn=list(turns.after_answer),
            after_silence=[turns.ends[0], *turns.after_answer],
            remember_silence=remember_silence,
            input_region=self.picture_region,
            **self.placing,
        )
        return ring, loop

    def grouped(
        self, policy: Policy, config: LoopConfig, *, layout: str, picture_rows: int
    ) -> GroupedLoop:
        """Pictures never see comments; a comment goes on while pictures come."""
        turns, (name, gapped) = self.turns, LAYOUTS[layout]
        ring = RingDecoder(
            self.decoder,
            n_sinks=len(turns.prompt),
            window=[("vision", self.window), ("text", self.spec.text_window)],
            layout=name,
            gap=self.spec.gap if gapped else 0,
            kv_type=self.spec.kv_type,
            n_threads=self.n_threads,
            max_rows=rows_at_once(turns, picture_rows),
        )
        return GroupedLoop(
            ring,
            policy,
            config,
            output_prompt=list(turns.answer),
            input_prompt=list(turns.prompt),
            after_turn=[*turns.after_answer, *turns.answer],
        )


def rows_at_once(turns: ChatTurns, picture_rows: int) -> int:
    """A power of two that holds a whole picture's turn and what is being said: one batch."""
    besides: Sequence[tuple[int, ...]] = (
        turns.before_picture, turns.after_picture, turns.answer, turns.after_answer,
    )  # fmt: skip
    n_rows = picture_rows + sum(map(len, besides)) + 1
    return min(MOST_ROWS, max(MAX_ROWS, 1 << (n_rows - 1).bit_length()))
