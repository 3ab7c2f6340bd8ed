# SPDX-License-Identifier: Apache-2.0
"""The new rows of a picture as a unit of a stream: a user's turn with them in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgestream._native import GgufModel
from edgestream.decoder.rows import token_rows
from edgestream.vision.gates import Floats
from edgestream.vision.stages import Unit
from edgestream.vision.vlm.chat import ChatTurns
from edgestream.vision.vlm.tower import PictureRows


class UnitTemplate:
    """Kept rows between the rows of the chat template: all of it leaves the memory together.

    Each kept row has the place that it has in the whole picture, and what comes behind the picture
    lies behind all of it, kept or not (as TimeChat-Online does, arXiv 2504.17343). Where positions
    have one axis, rows just follow one another.
    """

    def __init__(self, model: GgufModel, turns: ChatTurns) -> None:
        self._model = model
        self._before = token_rows(model, turns.before_picture)
        self._after = token_rows(model, turns.after_picture)

    @property
    def rows_besides(self) -> int:
        """Rows of a unit that are no picture's."""
        return len(self._before) + len(self._after)

    def push(self, rows: PictureRows, kept: NDArray[np.bool_]) -> Unit:
        """The rows that are kept, and what is around them."""
        return self._unit(rows, kept, self._after)

    def whole(self, rows: PictureRows, after: Sequence[int]) -> Unit:
        """All the rows, and these tokens behind them in place of what the turns say."""
        kept = np.ones(len(rows.embeddings), np.bool_)
        return self._unit(rows, kept, token_rows(self._model, after))

    def _unit(self, rows: PictureRows, kept: NDArray[np.bool_], behind: Floats) -> Unit:
        unit = np.concatenate([self._before, rows.embeddings[kept], behind])
        if rows.axes is None:
            return Unit(unit)
        before = _text_places(0, len(self._before))
        picture = len(before) + rows.axes
        after = _text_places(int(picture.max()) + 1, len(behind))
        return Unit(unit, np.concatenate([before, picture[kept], after]))


def _text_places(first: int, n: int) -> NDArray[np.int32]:
    return np.repeat(np.arange(first, first + n, dtype=np.int32)[:, None], 3, axis=1)
