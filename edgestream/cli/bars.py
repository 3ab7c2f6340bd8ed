# SPDX-License-Identifier: Apache-2.0
"""Progress bars on stderr, shown where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def download_bar() -> Iterator[Callable[[int, int], None]]:
    """Takes the bytes that are here and the bytes in all."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
    from rich.progress import TimeRemainingColumn as Remaining

    shown = Progress(
        BarColumn(), DownloadColumn(), TransferSpeedColumn(), Remaining(),
        console=Console(stderr=True), disable=not sys.stderr.isatty(),
    )  # fmt: skip
    task = None

    def show(done: int, total: int) -> None:
        nonlocal task
        if task is None:
            shown.start()
            task = shown.add_task("", total=total, completed=done)
        shown.update(task, completed=done)

    try:
        yield show
    finally:
        shown.stop()


@contextmanager
def labelled_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A line for each kind of work; takes the kind, how much is done, and of how much."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    tasks: dict[str, TaskID] = {}
    with Bar(
        TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
        TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show
