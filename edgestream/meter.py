# SPDX-License-Identifier: Apache-2.0
"""What a session costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """Running figures of one session."""

    heard_ms: float = 0.0  # input taken in
    compute_ms: float = 0.0  # time spent on it
    worst_behind_ms: float = 0.0  # largest distance to the source's clock
    lost_ms: float = 0.0  # input lost in gaps
    n_lines: int = 0  # lines made final
    n_words: int = 0  # words of them that have times of their own

    @property
    def real_time_factor(self) -> float:
        """Compute time per time of input; below 1 keeps up."""
        return self.compute_ms / self.heard_ms if self.heard_ms else 0.0
