# SPDX-License-Identifier: Apache-2.0
"""Files that nobody sees half written: made under another name, put in their place by renaming."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from edgestream.errors import OutputError, shown

# Not made of the file's own name, which may be as long as a name can be.
PART = re.compile(r"\.edgestream-(\d+)-\d+\.part")
_numbers = itertools.count()


@contextmanager
def whole_file(output: Path) -> Iterator[Path]:
    """A file beside `output` to write; it takes its place if the block ends well, else it vanishes.

    Makes the folder. Raises OutputError where that, the writing or the renaming fails.
    """
    part = output.with_name(f".edgestream-{os.getpid()}-{next(_numbers)}.part")
    try:
        make_folder(output.parent)
        yield part
        try:
            os.replace(part, output)
        except OSError as error:
            raise OutputError(f"{output}: cannot be written: {error.strerror}") from None
    except OutputError as error:  # the block knows the other name only
        raise OutputError(str(error).replace(shown(str(part)), str(output))) from None
    finally:
        with suppress(OSError):
            part.unlink()


def make_folder(folder: Path) -> None:
    """Makes it, and those that it is in; raises OutputError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: no such folder can be made: {error.strerror}") from None


def remove_left_over(folders: Iterable[Path]) -> None:
    """Removes what processes that are gone left half written there."""
    for folder in folders:
        with suppress(OSError):  # the folder is not there, or a file is gone by now
            for path in folder.iterdir():
                found = PART.fullmatch(path.name)
                if found and not psutil.pid_exists(int(found[1])):
                    path.unlink()
