# SPDX-License-Identifier: Apache-2.0
"""Processes that share the work; one that dies costs the recording that it was at, no other.

Processes and not threads: a quarter of the work of a Whisper is Python's, which one thread does at
a time, so that threads would leave cores idle from the fifth on. Each has a model of its own.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from edgestream.batch.caption_file import Captioned
from edgestream.batch.outputs import Job
from edgestream.batch.worker import Failed, Ready, Recipe, Report, Unusable, work
from edgestream.errors import OperationError
from edgestream.system.process import ending

SHORT = "perhaps memory is short: fewer --jobs take less"


class Worker:
    """A process, the pipe to it and the job that it is at; `pipe` is closed when there is none."""

    def __init__(self, recipe: Recipe) -> None:
        # Not a copy of this process, whose libraries have threads and locks.
        context = multiprocessing.get_context("spawn")
        self.job: Job | None = None
        self.pipe: Connection
        self.pipe, other_end = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=work, args=(other_end, recipe), daemon=True
        )
        self.process.start()
        other_end.close()  # so that the pipe ends when the process does

    def end(self) -> None:
        """Ends it at once."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


class Pool:
    """Captions `jobs`, in this order, with `n_workers` processes at most."""

    def __init__(self, jobs: Iterable[Job], recipe: Recipe, n_workers: int) -> None:
        self._waiting = deque(jobs)
        self._recipe = recipe
        self._n_workers = min(n_workers, len(self._waiting))
        self._workers: list[Worker] = []
        self._ending = ""  # how the last process ended that was at no job
        self.stopped = False

    def run(self) -> Generator[tuple[Job, Report], None, None]:
        """What comes of each job, as it comes: the last of one is Captioned or Failed.

        Raises:
            EdgestreamError: the model or an option cannot be used, or no process could be kept.
        """
        try:
            for _ in range(self._n_workers):
                self._workers.append(Worker(self._recipe))
            while self._workers and not self.stopped:
                for pipe in wait([worker.pipe for worker in self._workers]):
                    worker = next(w for w in self._workers if w.pipe is pipe)
                    yield from self._hear(worker)
        finally:
            for worker in self._workers:
                worker.end()
        if self._waiting and not self.stopped:
            raise OperationError(
                f"the model could not be loaded: the process was ended by {self._ending}; {SHORT}"
            )

    def stop(self) -> None:
        """Ends all work at once; may be called by a signal's handler."""
        self.stopped = True
        for worker in self._workers:
            worker.process.kill()

    def _hear(self, worker: Worker) -> Iterator[tuple[Job, Report]]:
        job = worker.job
        try:
            report = worker.pipe.recv()
        except (EOFError, OSError):
            if not self.stopped:
                yield from self._bury(worker)
            return
        if isinstance(report, Unusable):
            raise report.error
        if isinstance(report, (Ready, Captioned, Failed)):
            self._give_next(worker)
        if job is not None:
            yield job, report

    def _give_next(self, worker: Worker) -> None:
        worker.job = None
        if not self._waiting:
            self._workers.remove(worker)
            worker.end()
            return
        with suppress(OSError):  # it is dead, as its pipe will tell
            worker.pipe.send(self._waiting[0])
            worker.job = self._waiting.popleft()

    def _bury(self, worker: Worker) -> Iterator[tuple[Job, Report]]:
        """After its death; one that died before it was at a job had no luck with memory."""
        self._workers.remove(worker)
        worker.process.join()
        self._ending = ending(worker.process.exitcode)
        if worker.job is None:
            return
        if self._waiting:
            self._workers.append(Worker(self._recipe))
        yield worker.job, Failed(f"the process was ended by {self._ending}; {SHORT}")
