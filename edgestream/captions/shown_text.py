# SPDX-License-Identifier: Apache-2.0
"""What may be shown of a text, and how wide it is: one filter for every outlet.

Models write any characters. Those that steer a terminal or turn text around are dropped: controls,
lone surrogates, U+202A to U+202E, U+2066 to U+2069, deprecated and interlinear format characters,
the byte order mark, and U+FFFD, which stands for no character. Kept are joiners (Persian, Sinhala
and emoji families are written with them), U+200B, which parts words in Khmer and Thai, and the
marks of direction U+200E, U+200F and U+061C: these only say which side the punctuation beside them
belongs to.
"""

from __future__ import annotations

import re

from rich.cells import cell_len

_SPACE = re.compile(r"\s")
_DROPPED = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ufffd]"
)


def filtered(text: str) -> str:
    """The characters that may be shown; each white space is a plain one."""
    return _DROPPED.sub("", _SPACE.sub(" ", text))


def printable(text: str) -> str:
    """One line of them: every run of white space is one space, none stands at an end."""
    return " ".join(filtered(text).split())


def columns(text: str) -> int:
    """Cells of a terminal: two for a Chinese character, none for a mark over a letter."""
    return cell_len(text)
