# SPDX-License-Identifier: Apache-2.0
"""What of a picture is new, and its rows as a unit of a stream: a user's turn with them in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgestream._native import GgufModel, PictureResizer, TileGate, TokenGate
from edgestream.vision.vlm.chat import ChatTurns
from edgestream.vision.vlm.tower import PictureRows

SMALL_WIDTH, SMALL_HEIGHT, TILE_PX = 96, 72, 8  # in which pictures are compared
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Change:
    """What a picture brings: the share of its tiles that are new, 0 to 1, and a change of shot."""

    share: float
    shot: bool


class ChangeGate:
    """Compares pictures of any size, tile by tile, with what was last kept of them."""

    def __init__(self, min_difference: float) -> None:
        self._resizer = PictureResizer(SMALL_WIDTH, SMALL_HEIGHT)
        self._tiles = TileGate(
            SMALL_WIDTH, SMALL_HEIGHT, tile_px=TILE_PX, min_difference=min_difference
        )

    def push(self, rgb: NDArray[np.uint8]) -> Change:
        """What uint8 [height, width, 3] brings; all of a first picture is new."""
        kept, shot = self._tiles.push(self._resizer.push(np.ascontiguousarray(rgb)))
        return Change(float(kept.mean()), shot)

    def reset(self) -> None:
        """The next picture is a first one."""
        self._tiles.reset()


class RowGate:
    """Rows of a picture that lie away from the last one kept at their place, or that the decoder's
    memory may have lost since."""

    def __init__(
        self, n_embd: int, *, max_cosine: float, memory_rows: int, rows_besides: int
    ) -> None:
        """`memory_rows` that are kept, `rows_besides` of each unit that are no picture's."""
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


class UnitTemplate:
    """Kept rows between the rows of the chat template: all of it leaves the memory together.

    Each kept row has the place that it has in the whole picture, and what comes behind the picture
    lies behind all of it, kept or not (as TimeChat-Online does, arXiv 2504.17343). Where positions
    have one axis, rows just follow one another.
    """

    def __init__(self, model: GgufModel, turns: ChatTurns) -> None:
        self._before = token_rows(model, turns.before_picture)
        self._after = token_rows(model, turns.after_picture)

    @property
    def rows_besides(self) -> int:
        """Rows of a unit that are no picture's."""
        return len(self._before) + len(self._after)

    def push(
        self, rows: PictureRows, kept: NDArray[np.bool_]
    ) -> tuple[Floats, NDArray[np.int32] | None]:
        """A unit: float32 [n, n_embd] and places int32 [n, 3] or None."""
        unit = np.concatenate([self._before, rows.embeddings[kept], self._after])
        if rows.axes is None:
            return unit, None
        before = _text_places(0, len(self._before))
        picture = len(before) + rows.axes
        after = _text_places(int(picture.max()) + 1, len(self._after))
        return unit, np.concatenate([before, picture[kept], after])


def token_rows(model: GgufModel, tokens: Sequence[int]) -> Floats:
    """The rows of tokens, float32 [n, n_embd]."""
    rows = [model.token_embedding(token) for token in tokens]
    return np.stack(rows) if rows else np.empty((0, model.n_embd), np.float32)


def _text_places(first: int, n: int) -> NDArray[np.int32]:
    return np.repeat(np.arange(first, first + n, dtype=np.int32)[:, None], 3, axis=1)
