# SPDX-License-Identifier: Apache-2.0
"""What waits in a session to be computed, and how much it weighs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from edgestream.sources.block import Block
from edgestream.speech.stream import SETTLE_MS

LEAST_PER_S = 100  # the smallest message counts as 10 ms of sound that waits


@dataclass(slots=True)
class Waiting:
    """Sound or a mark that waits, since when, and who is told when it was computed."""

    since_s: float
    block: Block | None  # None: the stream ends here
    weight: int = 0  # samples to be computed at most
    again: bool = False  # and begins anew
    done: asyncio.Future[None] | None = None

    @property
    def samples(self) -> int:
        """Of sound."""
        return len(self.block.samples) if self.block is not None else 0


def weight(block: Block, rate_hz: int, delay_ms: float) -> int:
    """Samples that a block makes a stream compute: also for a gap, where they are silence. Nothing
    is too small to be counted."""
    silent = round((delay_ms + SETTLE_MS) * rate_hz / 1000)
    return max(len(block.samples) + min(block.lost_samples, silent), rate_hz // LEAST_PER_S)
