# SPDX-License-Identifier: Apache-2.0
"""One door to sound: a microphone, a file by its path, or a source that a program brings."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgestream.errors import UsageError
from edgestream.sources.block import Source
from edgestream.sources.sound_file import FileSource


def open_source(
    source: str | os.PathLike[str] | Source | Callable[[], Source] | None,
    *,
    device: str | int | None,
    fast: bool,
) -> Source:
    """The microphone for None, a file for a path; what opens a source is called; anything else is a
    source already."""
    if source is None:
        from edgestream.sources.microphone import MicrophoneSource  # PortAudio where it is needed

        return MicrophoneSource(device)
    if isinstance(source, (str, os.PathLike)):
        return FileSource(Path(source), pace=not fast)
    if callable(source):
        return source()
    if not hasattr(source, "rate_hz"):
        raise UsageError(f"source: {type(source).__name__} cannot be used; give a path or a Source")
    return source
