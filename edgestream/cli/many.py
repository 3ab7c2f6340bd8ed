# SPDX-License-Identifier: Apache-2.0
"""`edgestream listen` of many recordings: progress, what failed, the exit code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edgestream.batch.caption_file import Captioned
from edgestream.batch.outputs import Job, jobs_for
from edgestream.batch.pool import Pool
from edgestream.batch.recordings import find_recordings
from edgestream.batch.whole_file import make_folder, remove_left_over
from edgestream.batch.worker import Failed, Recipe, Report, Said
from edgestream.cli.bars import one_bar
from edgestream.cli.run import stop_on_signal
from edgestream.errors import UsageError
from edgestream.outlets.time_of_day import elapsed
from edgestream.sources.sound_file import stated_ms
from edgestream.system.process import INTERRUPTED, n_cores, tell


def caption_many(
    sources: Sequence[str],
    folder: Path,
    recipe: Recipe,
    *,
    n_workers: int | None = None,
    again: bool = False,
    stats: bool = False,
) -> int:
    """Captions all recordings into `folder` but those that are done; the exit code.

    Raises:
        UsageError: there is no recording at all, two would get one file, or an option is wrong.
        OutputError: the folder cannot be made.
    """
    if n_workers is not None and n_workers < 1:
        raise UsageError(f"--jobs {n_workers}: give 1 or more")
    found = find_recordings(sources)
    if not found.recordings:
        raise UsageError("; ".join(f"{path}: {why}" for path, why in found.unusable))
    jobs = jobs_for(found.recordings, folder, recipe.form)
    make_folder(folder)
    folders = {job.output.parent for job in jobs}
    remove_left_over(folders)
    for remark in found.remarks:
        tell(remark)
    lengths_ms = {job: stated_ms(job.source) for job in jobs if again or not job.done}
    run = Run(lengths_ms, n_skipped=len(jobs) - len(lengths_ms))
    for path, why in found.unusable:
        run.fail(path, why)
    # The longest first: one that is begun last would keep one core at work and the others waiting.
    order = sorted(lengths_ms, key=lambda job: -lengths_ms[job])
    pool = Pool(order, recipe, n_cores() if n_workers is None else n_workers)
    try:
        with stop_on_signal(pool), one_bar() as show, closing(pool.run()) as reports:
            show(run.counted, 0, run.total_ms, "")
            for job, report in reports:
                run.take(job, report)
                show(run.counted, run.done_ms, run.total_ms, run.pace)
    finally:
        remove_left_over(folders)
    run.tell_end(stopped=pool.stopped, stats=stats)
    return INTERRUPTED if pool.stopped else int(bool(run.failed))


@dataclass(slots=True)
class Run:
    """What became of the recordings so far; `lengths_ms` by their headers are corrected."""

    lengths_ms: dict[Job, float]
    n_skipped: int
    n_captioned: int = 0
    failed: list[str] = field(default_factory=list)
    heard_ms: dict[Job, float] = field(default_factory=dict)
    done_ms: float = 0.0  # sound that was heard
    total_ms: float = 0.0  # that there is to hear, as far as headers tell
    compute_ms: float = 0.0
    lost_ms: float = 0.0
    n_words: int = 0
    begun_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.total_ms = sum(self.lengths_ms.values())

    def take(self, job: Job, report: Report) -> None:
        """One report of a job; what a person should know of it is told."""
        if isinstance(report, Said):
            tell(f"{job.source}: {report.line}")
        elif isinstance(report, Failed):
            self._settle(job, self.heard_ms.get(job, 0.0), ended=True)
            self.fail(job.source, report.reason)
        else:
            self._settle(job, report.heard_ms, ended=isinstance(report, Captioned))
        if isinstance(report, Captioned):
            self.n_captioned += 1
            self.compute_ms += report.compute_ms
            self.lost_ms += report.lost_ms
            self.n_words += report.n_words
            tell(f"{job.source} -> {job.output} ({elapsed(report.heard_ms)})")

    def fail(self, path: Path, reason: str) -> None:
        """A recording or a folder that gives no captions; told at the end."""
        said = reason if str(path) in reason else f"{path}: {reason}"
        self.failed.append(said)

    @property
    def counted(self) -> str:
        """Recordings, in words: 3 of 12, 1 failed."""
        done = f"{self.n_captioned + len(self.failed)} of {len(self.lengths_ms)}"
        return f"{done}, {len(self.failed)} failed" if self.failed else done

    @property
    def pace(self) -> str:
        """Sound, speed and the time left: 0:10:00/1:00:00, 14.2x, 0:03:31 left."""
        passed_s = time.monotonic() - self.begun_s
        factor = self.done_ms / 1000 / passed_s if passed_s else 0.0
        pace = f"{elapsed(self.done_ms)}/{elapsed(self.total_ms)}"
        if not factor:
            return pace
        left_ms = (self.total_ms - self.done_ms) / factor
        return f"{pace}, {factor:.1f}x, {elapsed(left_ms)} left"

    def _settle(self, job: Job, heard_ms: float, *, ended: bool) -> None:
        """So much of the job was heard: all of it, once it ended, whatever its header says."""
        length_ms = heard_ms if ended else max(self.lengths_ms[job], heard_ms)
        self.done_ms += heard_ms - self.heard_ms.get(job, 0.0)
        self.total_ms += length_ms - self.lengths_ms[job]
        self.heard_ms[job], self.lengths_ms[job] = heard_ms, length_ms

    def tell_end(self, *, stopped: bool, stats: bool) -> None:
        """Each that failed, figures, and the sum of all in one line."""
        for failure in self.failed:
            tell(f"failed: {failure}")
        if stats:
            passed_s = time.monotonic() - self.begun_s
            heard_s = self.done_ms / 1000
            tell(
                f"heard {heard_s:.1f} s in {passed_s:.2f} s"
                f" ({heard_s / passed_s:.1f} times as fast as it was spoken),"
                f" computed {self.compute_ms / 1000:.2f} s, {self.n_words} words,"
                f" lost {self.lost_ms / 1000:.1f} s"
            )
        hint = " (--again does them again)" if self.n_skipped else ""
        there = f"{self.n_skipped} there already{hint}"
        tell(f"{self.n_captioned} captioned, {there}, {len(self.failed)} failed")
        if stopped:
            tell("stopped; the same command goes on with those that are left")
