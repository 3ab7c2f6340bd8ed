# SPDX-License-Identifier: Apache-2.0
"""Gives every session its steps in turn, on a fixed number of threads.

The work that has waited longest is done next (first come, first served: no session can push another
one back by sending more). What is live goes before recordings, which get what live sessions leave.
Nothing is held back to be computed together with something else.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import Protocol


class Job(Protocol):
    """Something with steps to be done, one at a time."""

    live: bool

    def step(self) -> float | None:
        """Does one step; since when the next one waits (monotonic seconds), None if none does."""
        ...


class Scheduler:
    """`n_threads` threads that do the steps of all jobs; a job is in one of them at most."""

    def __init__(self, n_threads: int) -> None:
        self.n_threads = n_threads
        self._order = itertools.count()  # of jobs that wait for equally long
        self._waiting: list[tuple[bool, float, int, Job]] = []
        self._changed = threading.Condition()
        self._open = True
        self._threads = [
            threading.Thread(target=self._work, name=f"edgestream-step-{n}", daemon=True)
            for n in range(n_threads)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, job: Job, since_s: float) -> None:
        """The job has a step to do that has waited since then. It must not be here already."""
        with self._changed:
            heapq.heappush(self._waiting, (not job.live, since_s, next(self._order), job))
            self._changed.notify()

    def close(self) -> None:
        """Ends the threads once the steps they are in are done."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            since_s = job.step()
            if since_s is not None:
                self.put(job, since_s)
            del job  # this thread may wait for long, and must not keep a session

    def _next(self) -> Job | None:
        with self._changed:
            while self._open and not self._waiting:
                self._changed.wait()
            return heapq.heappop(self._waiting)[-1] if self._open else None
