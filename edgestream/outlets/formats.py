# SPDX-License-Identifier: Apache-2.0
"""The forms in which events are written."""

from __future__ import annotations

from enum import Enum


class Format(str, Enum):
    """Each has its writer in `writers.py`."""

    text = "text"
    jsonl = "jsonl"
    srt = "srt"
    vtt = "vtt"
