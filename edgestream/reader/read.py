# SPDX-License-Identifier: Apache-2.0
"""`read()`: a stream, a model that reads along and its tasks in one call."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from typing import Any

from edgestream.events import Event
from edgestream.reader.apart import ApartReader
from edgestream.reader.model import WINDOW, ReaderModel, load_reader
from edgestream.reader.order import LineFirst
from edgestream.reader.reader import AnyTask, Reader
from edgestream.reader.text import TextSource, TextStream, open_text
from edgestream.session import Iteration, Session
from edgestream.sources.questions import Questions

POLL_S = 0.05  # how long a question may wait that is asked of a source that has ended
LAST_WAIT_S = 1.0  # for questions that stand in a pipe when the source has ended


class ReadSession(Iteration):
    """A session whose events a reader reads along: iterate (`for` or `async for`) over its events
    and the reader's. One that nobody holds ends, as a Session does.
    """

    def __init__(
        self,
        session: Session[Any, Any],
        reader: Reader | ApartReader,
        questions: Iterable[str] | None = None,
        *,
        to_the_last: bool = False,
    ) -> None:
        """`questions`: lines that are answered as they come, if the reader was made for that;
        `to_the_last`: those too that come when the source has ended, until they end. So is each of
        a list; of others those that come before LAST_WAIT_S pass without one.
        """
        self._session, self._reader = session, reader
        self._reading = _ReadingAlong(session, reader, questions, to_the_last=to_the_last)
        self.source, self.stream, self.meter = session.source, session.stream, session.meter
        self._blocks = self._reading.blocks()
        self._pending = deque()

    def blocks(self) -> Generator[list[Event], None, None]:
        """The events of each piece of input as soon as it is read; often an empty list."""
        return self._blocks

    @property
    def newest(self) -> Any:
        """What the source gave last."""
        return self._session.newest

    def stop(self) -> None:
        """No more input is read; iteration goes on to the end of what was."""
        self._reading.stopped = True
        self._session.stop()
        if isinstance(self._reader, ApartReader):
            self._reader.hurry()

    def close(self) -> None:
        """Ends it: nothing more comes. May be repeated."""
        self._blocks.close()
        self._pending.clear()
        self._session.close()
        self._reader.close()


class _ReadingAlong:
    """A session and its reader on their way, once; it knows no ReadSession, which may be let go
    of."""

    def __init__(
        self,
        session: Session[Any, Any],
        reader: Reader | ApartReader,
        questions: Iterable[str] | None,
        *,
        to_the_last: bool,
    ) -> None:
        self._session, self._reader = session, reader
        self._questions = Questions([] if questions is None else questions)
        self._to_the_last = to_the_last or isinstance(questions, Collection)
        self.stopped = False

    def blocks(self) -> Generator[list[Event], None, None]:
        """What is said of each piece of input; closes the reader at the end."""
        order = LineFirst()
        try:
            for events in self._all():
                yield order.push(events)
            yield order.finish()
        finally:
            self._reader.close()

    def _all(self) -> Iterator[list[Event]]:
        for events in self._session.blocks():
            for event in events:
                yield [event]  # first: it waits for no reader
                yield self._reader.push(event)
            yield [*self._reader.poll(), *self._asked()]
        yield from self._reader.finishing()
        yield from self._last_questions()

    def _last_questions(self) -> Iterator[list[Event]]:
        waited_s = 0.0
        while not self.stopped and not self._questions.ended:
            if question := self._questions.take():
                waited_s = 0.0
                yield self._reader.ask(question)
                yield from self._reader.finishing()
            elif self._to_the_last or waited_s < LAST_WAIT_S:
                time.sleep(POLL_S)
                waited_s += POLL_S
                yield []
            else:
                return

    def _asked(self) -> list[Event]:
        """Questions are taken as fast as they can be answered, one between two pieces of input."""
        question = self._questions.take() if self._reader.is_free else None
        return self._reader.ask(question) if question else []


def read(
    source: Session[Any, Any] | str | os.PathLike[str] | Iterable[str],
    *,
    model: str | os.PathLike[str] | ReaderModel | None = None,
    task: AnyTask | Sequence[AnyTask] = (),
    questions: Iterable[str] | None = None,
    beside: bool = False,
    window: int = WINDOW,
    n_threads: int = 1,
    device: str | None = None,
) -> ReadSession:
    """Reads along with a stream, and tells what the tasks say of it.

    Args:
        source: what `listen()` or `watch()` gives, a text file's path, or pieces of text.
        model: a GGUF file, a converted decoder's folder or name, or what `load_reader` gives; None
            where no task needs one.
        task: one task or several.
        questions: lines that are answered as they come, from what was read by then. When the source
            has ended, all of a list are still answered; of others those that come within a second.
        beside: answers are written on a thread, for live sources; otherwise each is waited for, and
            all is the same on any machine.
        window: tokens of text that are remembered.
        n_threads: that compute.
        device: of the model, as `load_reader` takes it.

    Returns:
        An iterator over the source's events and the tasks', in the order in which they come.

    Raises:
        EdgestreamError: the source or the model cannot be used; the message says the way out.
    """
    if isinstance(model, (str, os.PathLike)):
        model = load_reader(model, device=device)
    tasks = list(task) if isinstance(task, Sequence) else [task]
    reader = Reader(
        model, tasks, asked=questions is not None, beside=beside, window=window,
        n_threads=n_threads,
    )  # fmt: skip
    session = source if isinstance(source, Session) else _text(source)
    return ReadSession(session, reader, questions)


def _text(source: str | os.PathLike[str] | Iterable[str]) -> Session[Any, Any]:
    if isinstance(source, (str, os.PathLike)):
        return Session(open_text(source), TextStream())
    return Session(_Pieces(source), TextStream())


class _Pieces(TextSource):
    """Pieces of text from a program."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self.name = "text"
        self._pieces = pieces
        self._stopped = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self._stopped:
                return
            yield piece.encode("utf-8", "replace")

    def close(self) -> None:
        """There is nothing to let go of."""
