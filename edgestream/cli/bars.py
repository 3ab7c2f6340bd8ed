# SPDX-License-Identifier: Apache-2.0
"""Progress bars on stderr, shown where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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
        rich.TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty(),
    ) as bar:  # fmt: skip

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show
