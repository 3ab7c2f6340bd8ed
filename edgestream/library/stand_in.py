# SPDX-License-Identifier: Apache-2.0
"""Files that stand where another should be: a pointer of Git LFS, which was never fetched."""

from __future__ import annotations

import os
from pathlib import Path

from edgestream.errors import ModelError

LFS_BEGINNING = b"version https://git-lfs.github.com/spec/"
LFS_BYTES = 1024  # a pointer has less


def stand_in(path: str | os.PathLike[str]) -> str:
    """What a file is instead of itself, and the way out; empty if nothing is known."""
    try:
        if os.path.getsize(path) > LFS_BYTES:
            return ""
        with open(path, "rb") as file:
            found = file.read(len(LFS_BEGINNING))
    except (OSError, ValueError):
        return ""
    if found != LFS_BEGINNING:
        return ""
    return "a Git LFS pointer, not the file itself; fetch it with: git lfs pull"


def refuse_stand_in(path: str | os.PathLike[str]) -> None:
    """Raises ModelError for a file that only points at the one that is wanted."""
    if said := stand_in(path):
        raise ModelError(f"{os.fspath(path)}: {said}")


def read_limited(path: Path, limit_bytes: int) -> bytes:
    """All of an untrusted file that has at most so many bytes.

    Raises:
        ModelError: it has more, or only points at the file that is wanted.
        OSError: it cannot be read.
    """
    refuse_stand_in(path)
    with path.open("rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise ModelError(f"{path}: larger than {limit_bytes} bytes, not a {path.name}")
    return data
