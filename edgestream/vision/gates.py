# SPDX-License-Identifier: Apache-2.0
"""Which pictures are new enough to be encoded, and which of their rows to enter the decoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream._native import PictureResizer, TileGate, TokenGate
from edgestream.errors import UsageError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """What a picture brings: the share of its tiles that are new, 0 to 1, and a change of shot.

    `small`: the picture as it was compared, float32 [height, width, 3] in [0, 1].
    """

    small: Floats
    share: float
    shot: bool


class PictureGate:
    """Before the encoder: compares pictures, tile by tile, with what was last kept of them."""

    def __init__(self, width: int, height: int, *, tile_px: int, min_difference: float) -> None:
        """`width` and `height`: that pictures of any size are compared in."""
        self._resizer = PictureResizer(width, height)
        self._tiles = TileGate(width, height, tile_px=tile_px, min_difference=min_difference)

    def push(self, rgb: NDArray[np.uint8]) -> Change:
        """What uint8 [any, any, 3] brings; all of a first picture is new.

        Raises:
            UsageError: it is larger than any picture.
        """
        try:
            small = self._resizer.push(np.ascontiguousarray(rgb))
        except ValueError as error:
            raise UsageError(str(error)) from None
        kept, shot = self._tiles.push(small)
        return Change(small, float(kept.mean()), shot)

    def reset(self) -> None:
        """The next picture is a first one."""
        self._tiles.reset()


class RowGate:
    """Behind the encoder: rows of a picture that lie away from the last one kept at their place, or
    that the decoder's memory may have lost since."""

    def __init__(
        self, n_embd: int, *, max_cosine: float, memory_rows: int = 0, rows_besides: int = 0
    ) -> None:
        """`memory_rows` are kept (0: all), `rows_besides` of each unit are no picture's."""
        self._n_embd = n_embd
        self._max_cosine = max_cosine
        self._memory_rows, self._rows_besides = memory_rows, rows_besides
        self._tokens: TokenGate | None = None

    def push(self, rows: Floats) -> NDArray[np.bool_]:
        """Which of float32 [n, n_embd] are kept; all are where the number is another one."""
        if self._tokens is None or self._tokens.n_cells != len(rows):
            self._tokens = TokenGate(
                len(rows),
                self._n_embd,
                self._max_cosine,
                memory_rows=self._memory_rows,
                rows_besides=self._rows_besides,
            )
        return self._tokens.push(rows)

    def reset(self) -> None:
        """The next picture is a first one."""
        self._tokens = None


class Linger:
    """Keeps what comes within `linger_ms` of the last change, which is news too: it all stopped."""

    def __init__(self, linger_ms: float) -> None:
        self._linger_ms = linger_ms
        self.reset()

    def push(self, changed: bool, time_ms: float) -> bool:
        """Whether what came at `time_ms` is kept."""
        if changed:
            self._changed_ms = time_ms
        return time_ms - self._changed_ms <= self._linger_ms

    def reset(self) -> None:
        """As if nothing had ever changed."""
        self._changed_ms = -math.inf
