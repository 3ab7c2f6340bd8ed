# SPDX-License-Identifier: Apache-2.0
"""How long work is told of to whoever looks on."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str], None]  # takes lines for the user
Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


def counter(progress: Progress, what: str, total: int) -> Callable[[int], None]:
    """Takes what came since the last call, and tells of the sum."""
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        progress(what, done, total)

    return count
