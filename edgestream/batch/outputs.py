# SPDX-License-Identifier: Apache-2.0
"""Where the captions of each recording go, and which of them are there already."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgestream.batch.recordings import SOUND, Recording
from edgestream.errors import UsageError
from edgestream.outlets.formats import SUFFIXES, Format


@dataclass(frozen=True, slots=True)
class Job:
    """A recording, and the file that its captions become."""

    source: Path
    output: Path

    @property
    def done(self) -> bool:
        """Whether its captions are there and no older than it; a file that is there is whole."""
        try:
            written = os.stat(self.output).st_mtime_ns
            return self.output.is_file() and written >= os.stat(self.source).st_mtime_ns
        except OSError:
            return False


def jobs_for(recordings: Sequence[Recording], folder: Path, form: Format) -> list[Job]:
    """For talk.mp3 out/talk.srt; for talk.mp3 and talk.wav out/talk.mp3.srt and out/talk.wav.srt.

    Raises UsageError where two would still get one name, or one that of a recording.
    """
    suffix = next(suffix for suffix, known in SUFFIXES.items() if known is form)
    short = [_without_suffix(recording.name) for recording in recordings]
    count = Counter(map(_folded, short))
    names = [
        recording.name if count[_folded(name)] > 1 else name
        for recording, name in zip(recordings, short, strict=True)
    ]
    jobs = [
        Job(recording.path, folder / name.with_name(name.name + suffix))
        for recording, name in zip(recordings, names, strict=True)
    ]
    _refuse_clashes(jobs)
    return jobs


def _without_suffix(name: Path) -> Path:
    """Of `2.5 metres` the .5 is none."""
    return name.with_suffix("") if name.suffix.lower() in SOUND else name


def _folded(path: Path) -> str:
    """The same for names that some file systems take for one: Talk.srt and talk.srt."""
    return str(path).casefold()


def _refuse_clashes(jobs: Iterable[Job]) -> None:
    taken: dict[str, Job] = {}
    inputs = {found: job.source for job in jobs if (found := _identity(job.source))}
    for job in jobs:
        other = taken.setdefault(_folded(job.output), job)
        if other is not job:
            together = other.source.parent == job.source.parent
            apart = "caption them apart, each with an --output-dir of its own"
            raise UsageError(
                f"{other.source} and {job.source}: the captions of both would be {job.output};"
                f" {'rename one of the two' if together else apart}"
            )
        if source := inputs.get(_identity(job.output) or (-1, -1)):
            raise UsageError(f"{job.output}: is an input as well ({source}); give another"
                             " --output-dir")  # fmt: skip


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # it is not there
        return None
    return found.st_dev, found.st_ino
