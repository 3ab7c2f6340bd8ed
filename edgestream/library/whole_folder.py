# SPDX-License-Identifier: Apache-2.0
"""Folders that nobody sees half made: made beside their place, put there by renaming."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(folder: Path, busy: Callable[[], object]) -> Iterator[Path]:
    """Keeps other processes away from what comes to `folder`, by a file beside it; the system ends
    it when this process dies. Where another one is at work, `busy` is called before the wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock_file = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        busy()
        lock.acquire()
    try:
        yield lock_file
    finally:
        lock.release()


@contextmanager
def whole_folder(place: Path, part: Path, *, keep: bool = False) -> Iterator[None]:
    """Makes the folder `part`, which takes the place of what is at `place` if the block ends well;
    else it vanishes, or stays with `keep`, so that another try can go on."""
    part.mkdir(parents=True, exist_ok=True)
    old = part.with_name(f"{part.name}.old")
    try:
        yield
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
            place.replace(old)
        part.replace(place)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        if not keep:
            shutil.rmtree(part, ignore_errors=True)
        raise
