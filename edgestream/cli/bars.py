# SPDX-License-Identifier: Apache-2.0
"""Progress bars on stderr, shown where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgestream.library.progress import Progress


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A line for each kind of work; of what is fetched, in bytes."""
    from rich import progress as rich
    from rich.console import Console
    from rich.text import Text

    class Amount(rich.ProgressColumn):
        share, n_bytes, speed = (
            rich.TaskProgressColumn(), rich.DownloadColumn(), rich.TransferSpeedColumn(),
        )  # fmt: skip

        def render(self, task: rich.Task) -> Text:
            if task.description.startswith("fetching"):
                return Text(" ").join([self.n_bytes.render(task), self.speed.render(task)])
            return self.share.render(task)

    tasks: dict[str, rich.TaskID] = {}
    with rich.Progress(
        rich.TextColumn("{task.description}", markup=False), rich.BarColumn(), Amount(),
        rich.TimeRemainingColumn(), console=Console(stderr=True), disable=not _watched(),
    ) as bar:  # fmt: skip

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show


@contextmanager
def one_bar() -> Iterator[Callable[[str, float, float, str], None]]:
    """One line of one bar: takes what stands before it, how much is done, of how much, and what
    stands behind it. Lines that are told meanwhile appear above."""
    from rich import progress as rich
    from rich.console import Console

    with rich.Progress(
        rich.TextColumn("{task.description}", markup=False), rich.BarColumn(bar_width=None),
        rich.TextColumn("{task.fields[behind]}", markup=False), expand=True, transient=True,
        console=Console(stderr=True), disable=not _watched(),
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=None, behind="")

        def show(before: str, done: float, total: float, behind: str) -> None:
            bar.update(task, description=before, completed=done, total=total, behind=behind)

        yield show


def _watched() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()  # None where it was closed
