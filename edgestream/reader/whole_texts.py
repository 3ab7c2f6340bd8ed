# SPDX-License-Identifier: Apache-2.0
"""Which texts a region of a memory holds, so that none is ever half gone."""

from __future__ import annotations

from collections import deque


class WholeTexts:
    """Counts rows alone. A ring lets go of its oldest rows one by one; here as many rows are put
    before a new text as it takes for whole texts to leave.

    An example, a region of 10 rows with texts of 4 and 5: for a new one of 3 rows the first must
    leave, so one row is put before it.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self._lengths: deque[int] = deque()  # of the texts that are there, the oldest first

    def enter(self, n_rows: int) -> int:
        """How many rows must come before a text of `n_rows`, which is not longer than all."""
        held = sum(self._lengths)
        fill = 0
        if held + n_rows > self.n_rows:
            while held + n_rows > self.n_rows:
                held -= self._lengths.popleft()
            fill = self.n_rows - held - n_rows
        self._lengths.append(fill + n_rows)
        return fill
