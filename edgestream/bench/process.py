# SPDX-License-Identifier: Apache-2.0
"""`edgestream listen` itself, as a process, from outside: its start, its memory, its time."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgestream.errors import OperationError
from edgestream.scoring.clips import RATE_HZ
from edgestream.sources.block import Samples
from edgestream.sources.sound_kind import HEAD_BYTES

PAGE_BYTES = 4096  # what a pipe takes or leaves as one
WARM_MINUTES = 1.0  # memory counts as settled from here on


@dataclass(frozen=True, slots=True)
class Reading:
    """What the process had used when it had heard so much."""

    minute: float
    rss_mb: float  # resident memory, 10^6 bytes
    cpu_s: float  # of all its threads since it started


class Memory:
    """Readings as a curve over the minutes of the stream."""

    def __init__(self, readings: list[Reading]) -> None:
        self.minutes = [reading.minute for reading in readings]
        self.rss_mb = [reading.rss_mb for reading in readings]

    def most_mb(self) -> float | None:
        """The largest reading; None without any."""
        return max(self.rss_mb, default=None)

    def at(self, minute: float) -> float | None:
        """MB at a minute of the stream; None if it was not reached."""
        if not self.minutes or self.minutes[-1] < minute:
            return None
        return float(np.interp(minute, self.minutes, self.rss_mb))

    def slope_mb_per_hour(self) -> float | None:
        """Growth after WARM_MINUTES, by least squares; None where that is too short to tell."""
        hours = np.array([minute / 60 for minute in self.minutes if minute >= WARM_MINUTES])
        if len(hours) < 2 or np.ptp(hours) * 60 < WARM_MINUTES:
            return None
        return float(np.polyfit(hours, self.rss_mb[-len(hours) :], 1)[0])


def startup_s(model: Path, repeats: int) -> list[float]:
    """Seconds from starting `edgestream listen -` until it has taken its first samples, each time.

    Nothing where pipes cannot be polled (Windows).
    """
    return [_start_s(model) for _ in range(repeats if sys.platform != "win32" else 0)]


def _start_s(model: Path) -> float:
    start_s = time.perf_counter()
    with _listening(model) as process:
        fd, n_taken = _stdin(process), 0
        os.set_blocking(fd, False)
        _fill(fd)
        while n_taken <= HEAD_BYTES:  # looked at before the model is there
            select.select([], [fd], [])
            n_taken += _fill(fd)
        took_s = time.perf_counter() - start_s
        process.kill()
    return took_s


def _fill(fd: int) -> int:
    """Writes zeros until a pipe takes no more; how many. Fails if the reader has gone."""
    n_written = 0
    try:
        while True:
            n_written += os.write(fd, bytes(PAGE_BYTES))
    except BlockingIOError:
        return n_written


def feed(
    model: Path,
    delay_ms: float | None,
    pieces: Iterable[Samples],
    *,
    interval_s: float = 10.0,
    captions: Path | None = None,
) -> Iterator[Reading]:
    """Feeds float32 pieces at RATE_HZ to `edgestream listen -` as fast as it takes them.

    `delay_ms` is the model's own if None.
    Yields a Reading every `interval_s` of the stream (Linux only); `captions` receives JSONL.
    """
    options = ["--format", "jsonl"]
    options += [] if delay_ms is None else ["--delay", f"{delay_ms:g}"]
    options += ["--output", str(captions.resolve())] if captions else []
    n_fed, n_read = 0, 0
    with _listening(model, *options) as process:
        for piece in pieces:
            data = np.round(np.clip(piece, -1, 1) * 32767).astype("<i2").tobytes()
            while data:
                data = data[os.write(_stdin(process), data) :]
            n_fed += len(piece)
            if n_fed >= n_read * interval_s * RATE_HZ and sys.platform == "linux":
                n_read += 1
                yield read_process(process.pid, n_fed / RATE_HZ / 60)
        _finish(process)


def _finish(process: subprocess.Popen[bytes]) -> None:
    """Ends its input and waits until the last captions are written."""
    assert process.stdin is not None
    process.stdin.close()
    if process.wait() != 0:
        raise BrokenPipeError


def read_process(pid: int, minute: float) -> Reading:
    """What a process has used by now (Linux only)."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    # After the name in brackets, which may hold spaces: state is field 3, utime 14, stime 15.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    rss_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return Reading(minute, rss_mb, ticks / os.sysconf("SC_CLK_TCK"))


def _stdin(process: subprocess.Popen[bytes]) -> int:
    assert process.stdin is not None
    return process.stdin.fileno()


@contextmanager
def _listening(model: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The command reading PCM from its stdin; killed at the end if it still runs.

    Raises OperationError with what it said if it failed or ended while it was fed.
    """
    command = [sys.executable, "-m", "edgestream", "listen", "-", "--rate", str(RATE_HZ)]
    with subprocess.Popen(
        [*command, "-m", str(model.resolve()), *options],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],  # so that it imports this very package
    ) as process:
        try:
            yield process
        except BrokenPipeError:
            assert process.stderr is not None
            said = process.stderr.read().decode(errors="replace").strip()
            raise OperationError(f"bench: edgestream listen ended early: {said}") from None
        finally:
            process.kill()
