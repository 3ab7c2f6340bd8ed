# SPDX-License-Identifier: Apache-2.0
"""The process in which a reader reads, apart from what it reads along with."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from edgestream.errors import EdgestreamError, ModelError, OperationError
from edgestream.events import Event
from edgestream.reader.model import WINDOW, load_reader
from edgestream.reader.reader import AnyTask, Reader
from edgestream.reader.units import Unit
from edgestream.reader.waiting import Asked, End, Gone
from edgestream.system.process import is_out_of_memory

NICE = 5  # captions come first
POLL_S = 0.05  # how long an answer that is whole may wait
ALIVE_S = 1.0  # between two signs of life
END_WAIT_S = 0.5  # for what it has begun to be let go of
NO_MEMORY = "too little memory for this model and its window; smaller ones take less"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the other process makes its reader; the rest is as a Reader takes it.

    `model`: as load_reader takes it, on `device`; None where no task needs one. `tasks` is called
    there, so it must be of a module: a function, a bound method of something that can be pickled.
    """

    model: str | None
    tasks: Callable[[], Sequence[AnyTask]]
    device: str | None = None
    asked: bool = False
    beside: bool = True
    window: int = WINDOW
    n_threads: int = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """It can read."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The model or a task cannot be used."""

    error: EdgestreamError


@dataclass(frozen=True, slots=True)
class Read:
    """What it says; `n_items` more were read or asked."""

    events: list[Event]
    n_items: int = 0


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life while it computes."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It can read no more, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Over:
    """All that came before an End was read and said; questions may still come, and another End."""


Report = Ready | Unusable | Read | Alive | Failed | Over


def work(pipe: Connection, recipe: Recipe) -> None:
    """Takes Units, Asked and Ends from the pipe and gives Reports. It ends when the pipe does:
    signals are for the process at the other end, which wants to hear the last words."""
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _pass)  # ignored, they would be so for tools too
    if hasattr(os, "nice"):
        os.nice(NICE)
    told = _Told(pipe)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    opened: list[Reader] = []
    threading.Thread(target=_receive, args=(pipe, inbox, opened), daemon=True).start()
    with suppress(OSError):  # nobody is there any more
        reader = _open(recipe, told)
        if reader is None:
            return
        opened.append(reader)
        told.begin()
        try:
            _read(reader, inbox, told)
        except Exception as error:
            told.send(Failed(_reason(error)))
        finally:
            reader.close()


def _pass(signal_number: int, frame: FrameType | None) -> None:
    """A signal that changes nothing."""


class _Told:
    """Sends reports, one thread at a time."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, report: Report) -> None:
        with self._lock:
            self._pipe.send(report)

    def begin(self) -> None:
        """Ready; from here on signs of life come."""
        self.send(Ready())
        threading.Thread(target=self._live, daemon=True).start()

    def _live(self) -> None:
        wait = threading.Event()
        with suppress(OSError):
            while not wait.wait(ALIVE_S):
                self.send(Alive())


def _receive(pipe: Connection, inbox: queue.SimpleQueue[Any], opened: list[Reader]) -> None:
    """On a thread, so that the end of the other process is this one's, whatever it is at: the
    reader may wait for a tool, and lets go of it here."""
    item = None
    with suppress(EOFError, OSError):
        while not isinstance(item, Gone):
            item = pipe.recv()
            inbox.put(item)
    inbox.put(Gone())
    for reader in opened:
        reader.close()
    time.sleep(END_WAIT_S)
    os._exit(0)


def _open(recipe: Recipe, told: _Told) -> Reader | None:
    """The reader; None where there can be none, which is told."""
    try:
        tasks = recipe.tasks()
        model = None if recipe.model is None else load_reader(recipe.model, device=recipe.device)
        return Reader(
            model, tasks, asked=recipe.asked, beside=recipe.beside, window=recipe.window,
            n_threads=recipe.n_threads,
        )  # fmt: skip
    except Exception as error:
        told.send(Unusable(_unusable(error, recipe.model)))
        return None


def _unusable(error: Exception, model: str | None) -> EdgestreamError:
    if is_out_of_memory(error):
        return ModelError(f"{model}: {NO_MEMORY}")
    if isinstance(error, EdgestreamError):
        return error
    return OperationError(f"{model}: {type(error).__name__}: {error}")


def _reason(error: Exception) -> str:
    if is_out_of_memory(error):
        return NO_MEMORY
    return str(error) if isinstance(error, EdgestreamError) else f"{type(error).__name__}: {error}"


def _read(reader: Reader, inbox: queue.SimpleQueue[Any], told: _Told) -> None:
    while True:
        item = _next(reader, inbox)
        if isinstance(item, Gone):
            return
        if isinstance(item, End):
            for events in reader.finishing():
                told.send(Read(events))
            told.send(Over())
            continue
        if isinstance(item, Unit):
            events = [*reader.read(item), *reader.poll()]
        elif isinstance(item, Asked):
            events = reader.ask(item.question)
        else:
            events = reader.poll()
        if events or item is not None:
            told.send(Read(events, int(item is not None)))


def _next(reader: Reader, inbox: queue.SimpleQueue[Any]) -> Any:
    """What comes next; None where nothing does, or the reader has enough: what is not taken waits
    where it can still be left out."""
    if reader.is_behind:
        time.sleep(POLL_S)
        return None
    with suppress(queue.Empty):
        return inbox.get(timeout=POLL_S)
    return None
