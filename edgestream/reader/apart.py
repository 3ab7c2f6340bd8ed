# SPDX-License-Identifier: Apache-2.0
"""A reader in a process of its own: captions never wait for it, and outlive it."""

from __future__ import annotations

import atexit
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from edgestream.errors import EdgestreamError, ModelError, OperationError
from edgestream.events import Answer, Event, Notice, Translation, TranslationDraft
from edgestream.reader.apart_worker import (
    NO_MEMORY,
    Failed,
    Over,
    Read,
    Ready,
    Recipe,
    Report,
    Unusable,
    work,
)
from edgestream.reader.silence import Silence
from edgestream.reader.units import CommittedWords
from edgestream.reader.waiting import MAX_WAITING, Asked, End, Gone, Item, WaitingUnits
from edgestream.system.process import ending, is_out_of_memory

N_AHEAD = 8  # items that are on their way to it: what waits there can be left out no more
POLL_S = 0.05
STALL_S = 30.0  # without a sign of life it is given up
START_S = 600.0  # for a large model on a slow disk
END_WAIT_S = 20.0  # after Ctrl-C, for what it still writes
CLOSE_WAIT_S = 0.5  # for what it has begun to be let go of: a tool that runs
QUIET_WAIT_S = 1.0  # before somebody asks why it does not end
STILL = "what was read last is still being written; Ctrl-C ends that"
GOES_ON = "captions go on without it"
NOBODY = "nobody reads along any more"


class ApartReader:
    """A Reader's interface; `push`, `poll` and `ask` never wait, unless it is `patient`.

    A reader that is too slow is behind; where more than `max_waiting` units wait, whole lines are
    left out, and a Lag says so. When its process ends, by whatever it was, one Notice says so, and
    nothing more comes of it.
    """

    def __init__(
        self, recipe: Recipe, *, max_waiting: int | None = MAX_WAITING, patient: bool = False
    ) -> None:
        """`patient`: `push` waits until all was read, for a source that can wait; what is said then
        has its place among the events, the same each time.

        Raises UsageError, ModelError or OperationError where there is no such model, memory is
        short, a task cannot be used or no process can be begun.
        """
        self._words = CommittedWords()
        self._waiting = WaitingUnits(None if patient else max_waiting)
        self._patient = patient
        self._changed = threading.Condition()  # guards `waiting` and `ahead`
        self._n_ahead = 0
        self._n_asked = 0  # questions without an answer
        self._said: deque[Event] = deque()
        self._draft: TranslationDraft | None = None  # the one being written
        self._ready, self._over = (
            threading.Event(),
            threading.Event(),
        )  # over: nothing comes any more
        self._finished = threading.Event()  # all that was sent was read
        self._refusal: EdgestreamError | None = None
        self._ending = ""  # why it ended, where it was not asked to
        self._ended_s: float | None = None  # when the source was ended from outside
        self._silence = Silence()
        self._time_ms = 0.0
        self._pipe, self._process = _start(recipe)
        atexit.register(self.close)  # before multiprocessing waits for its processes
        for target in (self._hear, self._feed):
            threading.Thread(target=target, daemon=True).start()
        self._wait_until_ready()
        if self._refusal is not None:
            self.close()
            raise self._refusal

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid or 0

    def push(self, event: Event) -> list[Event]:
        """An event of the stream; what the tasks say by now."""
        lags: list[Event] = []
        for unit in self._words.push(event):
            self._time_ms = max(self._time_ms, unit.end_ms)
            with self._changed:
                if not self._over.is_set() and (lag := self._waiting.push(unit)):
                    lags.append(lag)
                self._changed.notify_all()
        if self._patient:
            self._wait_until_read()
        return [*lags, *self.poll()]

    def poll(self) -> list[Event]:
        """What the tasks say by now, where nothing was pushed."""
        events: list[Event] = []
        self._mind_silence()
        over = self._over.is_set()  # first: what comes later is for the next time
        while self._said:
            events.append(self._said.popleft())
        self._n_asked -= sum(isinstance(event, Answer) for event in events)
        for event in events:
            if isinstance(event, (Translation, TranslationDraft)):
                self._draft = event if isinstance(event, TranslationDraft) else None
        if over and self._ending:
            if self._draft is not None:  # nothing comes of it
                events.append(replace(self._draft, text="", n_final=0))
                self._draft = None
            events.append(Notice(self._time_ms, f"{self._ending}; {GOES_ON}"))
            self._ending = ""
        return events

    def ask(self, question: str) -> list[Event]:
        """A question of the user about what was read; its Answer comes later."""
        with self._changed:
            if self._over.is_set():
                return [Answer(question, NOBODY, self._time_ms)]
            self._n_asked += 1
            self._waiting.push(Asked(question))
            self._changed.notify_all()
        return self.poll()

    @property
    def is_free(self) -> bool:
        """Whether no question waits for its answer."""
        return self._over.is_set() or not self._n_asked

    def hurry(self) -> None:
        """The user wants it to end: what it still writes is waited for, but not for ever.

        For signal handlers too: it takes no lock.
        """
        if self._ended_s is None:
            self._ended_s = time.monotonic()

    def finish(self) -> list[Event]:
        """The source has ended: what is left comes. After it questions alone may come, and this
        again, which waits for their answers."""
        return [said for events in self.finishing() for said in events]

    def finishing(self) -> Iterator[list[Event]]:
        """As `finish`, each part as soon as it is there."""
        self._finished.clear()
        with self._changed:
            self._waiting.push(End())
            self._changed.notify_all()
        told = False
        while not self._over.is_set() and not self._finished.wait(POLL_S):
            yield self.poll()
            hurried_s = 0.0 if self._ended_s is None else time.monotonic() - self._ended_s
            if hurried_s > QUIET_WAIT_S and not told:
                told = True
                yield [Notice(self._time_ms, STILL)]
            if hurried_s > END_WAIT_S:
                self._give_up(f"reading along took more than {END_WAIT_S:.0f} s to end")
            self._mind_silence()
        yield self.poll()

    def close(self) -> None:
        """Ends the process; may be repeated. It has a moment to let go of what it began."""
        atexit.unregister(self.close)
        self._over.set()
        with self._changed:
            self._changed.notify_all()
        self._process.join(CLOSE_WAIT_S)
        self._process.kill()
        self._process.join()

    def _wait_until_ready(self) -> None:
        silence = Silence()
        while not self._ready.wait(POLL_S) and self._refusal is None:
            if silence.look_s() > START_S:
                self._refusal = OperationError(
                    f"reading along: the model was not ready after {START_S:.0f} s; "
                    "a smaller one takes less"
                )
        self._silence.end()

    def _wait_until_read(self) -> None:
        while not self._over.is_set() and self._ended_s is None:
            with self._changed:
                if not self._waiting and not self._n_ahead:
                    return
                self._changed.wait(POLL_S)
            self._mind_silence()

    def _mind_silence(self) -> None:
        """Waits for nothing: it would not hear that it should end."""
        if not self._over.is_set() and self._silence.look_s() > STALL_S:
            self._ending = f"reading along gave no sign of life for {STALL_S:.0f} s"
            self._over.set()
            self._process.kill()

    def _give_up(self, why: str) -> None:
        self._ending = why
        self.close()

    def _feed(self) -> None:
        """On a thread: writing to a process that is held up waits."""
        with suppress(OSError):
            while (item := self._next()) is not None:
                self._pipe.send(item)
            self._pipe.send(Gone())

    def _next(self) -> Item | None:
        """What it is given next; None when all is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._over.is_set() or (self._waiting and self._n_ahead < N_AHEAD)
            )
            if self._over.is_set():
                return None
            self._n_ahead += 1
            item = self._waiting.pop()
            self._changed.notify_all()
            return item

    def _hear(self) -> None:
        """On a thread, until its process ends or says that it is over."""
        try:
            while not self._over.is_set():
                self._take(self._pipe.recv())
        except Exception:  # of the pipe, which ends with the process
            if not self._over.is_set():
                self._process.join()
                self._ending = f"reading along was ended by {ending(self._process.exitcode)}"
        finally:
            with self._changed:
                self._over.set()
                self._ready.set()
                self._finished.set()
                self._waiting.clear()
                self._changed.notify_all()

    def _take(self, report: Report) -> None:
        self._silence.end()
        if isinstance(report, Ready):
            self._ready.set()
        elif isinstance(report, Unusable):
            self._refusal = report.error
            self._over.set()
        elif isinstance(report, Read):
            self._said.extend(report.events)
            with self._changed:
                self._n_ahead -= report.n_items
                self._changed.notify_all()
        elif isinstance(report, Failed):
            self._ending = f"reading along failed: {report.reason}"
            self._over.set()
        elif isinstance(report, Over):
            with self._changed:
                self._n_ahead -= 1
                self._changed.notify_all()
            self._finished.set()


def _start(recipe: Recipe) -> tuple[Connection, BaseProcess]:
    """Not a copy of this process, whose libraries have threads and locks."""
    context = multiprocessing.get_context("spawn")
    try:
        pipe, other_end = context.Pipe()
        with other_end:  # closed here, so that the pipe ends when the process does
            process = context.Process(target=work, args=(other_end, recipe), daemon=True)
            try:
                process.start()
            except OSError:
                pipe.close()
                raise
    except OSError as error:
        if is_out_of_memory(error):
            raise ModelError(f"{recipe.model}: {NO_MEMORY}") from None
        raise OperationError(f"reading along: cannot begin its process: {error.strerror}") from None
    return pipe, process
