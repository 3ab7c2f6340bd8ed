# SPDX-License-Identifier: Apache-2.0
"""Pieces of text in memory, for those who send them on."""

from __future__ import annotations


class WrittenText:
    """As a file that is written, without its pages: see Sink."""

    amends = True

    def __init__(self, head: str = "") -> None:
        self._data = bytearray(head.encode())

    @property
    def text(self) -> str:
        """All that was written."""
        return self._data.decode("utf-8", "replace")

    def write(self, text: str) -> None:
        """One more piece."""
        self._data += text.encode("utf-8", "replace")

    def amend(self, n_last_bytes: int, text: str) -> None:
        """Writes over what stands that far before the end; the text is no longer than that."""
        data = text.encode("utf-8", "replace")
        at = len(self._data) - n_last_bytes
        self._data[at : at + len(data)] = data

    def close(self, *, begin: bool = True) -> None:
        """Nothing is held back."""
