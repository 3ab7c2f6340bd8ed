# SPDX-License-Identifier: Apache-2.0
"""As much of a terminal as a live display needs; any other escape code is an error."""

from __future__ import annotations

import io
import re

_TOKEN = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|\r|\n|[^\x00-\x1f\x7f]|(?P<other>.)", re.S)


class TinyTerminal(io.StringIO):
    """Write to it, then look at `rows`. One column a character; `writes` counts what flickers."""

    def __init__(self, width: int, *, is_terminal: bool = True) -> None:
        super().__init__()
        self.width = width
        self.cursor_shown = True
        self.n_writes = 0
        self.styles: set[str] = set()
        self._is_terminal = is_terminal
        self._cells: list[str] = [""]
        self._row = self._column = 0

    def isatty(self) -> bool:
        return self._is_terminal

    def write(self, text: str) -> int:
        self.n_writes += 1
        for match in _TOKEN.finditer(text):
            assert not match["other"], f"control character {match['other']!r} on the screen"
            if match[3]:
                self._escape(*match.group(1, 2, 3))
            else:
                self._put(match[0])
        return len(text)

    @property
    def rows(self) -> list[str]:
        """Rows without trailing spaces, up to the last that is not empty."""
        rows = [row.rstrip() for row in self._cells]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._row, self._column = self._row + 1, 0
            if self._row == len(self._cells):
                self._cells.append("")
        else:
            assert self._column < self.width, f"row {self._cells[self._row]!r} is too long"
            row = self._cells[self._row].ljust(self._column)
            self._cells[self._row] = row[: self._column] + char + row[self._column + 1 :]
            self._column += 1

    def _escape(self, private: str, numbers: str, code: str) -> None:
        if (private, numbers) == ("?", "25"):
            self.cursor_shown = code == "h"
        elif code == "A":
            self._row = max(0, self._row - int(numbers or 1))
        elif (code, numbers) == ("K", "2"):
            self._cells[self._row] = ""
        elif code == "m":
            self.styles.update(numbers.split(";"))
        else:
            raise AssertionError(f"escape code {private}{numbers}{code}")
