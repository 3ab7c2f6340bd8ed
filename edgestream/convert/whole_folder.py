# SPDX-License-Identifier: Apache-2.0
"""The folder of a converted model: made beside its place, put there whole by renaming."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from edgestream.errors import OutputError, UsageError

LOCK_NAME = ".lock"


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """An empty folder that becomes `out` if the block ends well, and vanishes if it does not, with
    the folders above that were made for it.

    What a killed conversion left is removed by the next one to the same place.

    Raises:
        UsageError: `out` exists, or another process is converting to it.
        OutputError: the disk failed.
    """
    out = Path(os.path.abspath(out))
    if os.path.lexists(out):
        raise UsageError(f"{out}: exists already; choose another folder or remove it")
    part = out.parent / f".{out.name}.part"
    made = [above for above in out.parents if not above.exists()]  # the innermost first
    with _disk(out):
        part.mkdir(parents=True, exist_ok=True)
        lock = FileLock(part / LOCK_NAME)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UsageError(f"{out}: another process is converting to it") from None
    try:
        with _disk(out):
            _empty(part)
            yield part
            lock.release()
            (part / LOCK_NAME).unlink(missing_ok=True)
            part.rename(out)
    except BaseException:
        lock.release()
        shutil.rmtree(part, ignore_errors=True)
        with suppress(OSError):  # one that is not empty is somebody else's too
            for above in made:
                above.rmdir()
        raise


def _empty(part: Path) -> None:
    for left in part.iterdir():
        if left.name != LOCK_NAME:
            shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def _disk(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        said = error.strerror or f"{error}; is the disk full?"  # numpy tells bytes, no cause
        raise OutputError(f"{out}: cannot be written ({said})") from None
