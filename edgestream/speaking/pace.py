# SPDX-License-Identifier: Apache-2.0
"""How long a text takes to say, learned from what was said."""

from __future__ import annotations

GUESS_S, GUESS_LETTERS = 10.0, 150  # 175 words a minute, until more is known


class Pace:
    """Seconds of speech for a text, by its letters, and what is left of the clause being made."""

    def __init__(self) -> None:
        self._said_s, self._letters = GUESS_S, GUESS_LETTERS
        self._expected_s = self._made_s = 0.0

    def seconds(self, text: str) -> float:
        """How long it will take to say."""
        return len(text) * self._said_s / self._letters

    @property
    def left_s(self) -> float:
        """Of the clause being made, what is not made yet."""
        return max(0.0, self._expected_s - self._made_s)

    def begin(self, text: str) -> None:
        """From here on this clause is made."""
        self._expected_s, self._made_s = self.seconds(text), 0.0

    def made(self, length_s: float) -> None:
        """So much more of it is there."""
        self._made_s += length_s

    def end(self, text: str) -> None:
        """It is whole."""
        self._said_s += self._made_s
        self._letters += len(text)
        self._expected_s = self._made_s = 0.0

    def drop(self) -> None:
        """It will not be made whole."""
        self._expected_s = self._made_s = 0.0
