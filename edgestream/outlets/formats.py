# SPDX-License-Identifier: Apache-2.0
"""The forms in which events are written."""

from __future__ import annotations

from enum import Enum
from pathlib import Path


class Format(str, Enum):
    """Each has its writer in `writers.py`."""

    text = "text"
    jsonl = "jsonl"
    srt = "srt"
    vtt = "vtt"


ORIGINAL = "original"  # whose words a cue has, where nothing else is said
SUFFIXES = {
    ".txt": Format.text, ".text": Format.text, ".jsonl": Format.jsonl, ".srt": Format.srt,
    ".vtt": Format.vtt,
}  # fmt: skip


def format_for(output: Path | None, wanted: Format | None) -> Format:
    """The form that is wanted; else that of the file's name, as of clip.srt; else text."""
    by_name = SUFFIXES.get(output.suffix.lower()) if output else None
    return wanted or by_name or Format.text
