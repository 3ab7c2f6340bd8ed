# SPDX-License-Identifier: Apache-2.0
"""`read()`: a stream, a model that reads along and its tasks in one call."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from edgestream.events import Event
from edgestream.reader.apart import ApartReader
from edgestream.reader.model import WINDOW, ReaderModel, load_reader
from edgestream.reader.questions import Questions
from edgestream.reader.reader import AnyTask, Reader
from edgestream.reader.text import TextSource, TextStream, open_text
from edgestream.session import Session


class ReadSession:
    """A session whose events a reader reads along: iterate over its events and the reader's."""

    def __init__(
        self,
        session: Session[Any, Any],
        reader: Reader | ApartReader,
        questions: Iterable[str] | None = None,
    ) -> None:
        """`questions`: lines that are answered as they come; read on a thread."""
        self._session, self._reader = session, reader
        self._questions = None if questions is None else Questions(questions)
        self.source, self.stream, self.meter = session.source, session.stream, session.meter
        self._blocks = self._read()

    def __iter__(self) -> Iterator[Event]:
        for events in self._blocks:
            yield from events

    def blocks(self) -> Generator[list[Event], None, None]:
        """The events of each piece of input as soon as it is read; often an empty list."""
        return self._blocks

    @property
    def newest(self) -> Any:
        """What the source gave last."""
        return self._session.newest

    def stop(self) -> None:
        """No more input is read; iteration goes on to the end of what was."""
        self._session.stop()
        if isinstance(self._reader, ApartReader):
            self._reader.hurry()

    def close(self) -> None:
        """Ends it: nothing more comes. May be repeated."""
        self._blocks.close()
        self._session.close()
        self._reader.close()

    def _read(self) -> Generator[list[Event], None, None]:
        try:
            for events in self._session.blocks():
                said = [each for event in events for each in self._reader.push(event)]
                yield [*events, *said, *self._asked(), *self._reader.poll()]
            yield self._asked()
            yield from self._reader.finishing()
        finally:
            self._reader.close()

    def _asked(self) -> list[Event]:
        """The questions that came meanwhile."""
        if self._questions is None:
            return []
        return [said for each in self._questions.take() for said in self._reader.ask(each)]


def read(
    source: Session[Any, Any] | str | os.PathLike[str] | Iterable[str],
    *,
    model: str | os.PathLike[str] | ReaderModel | None = None,
    task: AnyTask | Sequence[AnyTask],
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
    reader = Reader(model, tasks, window=window, n_threads=n_threads)
    return ReadSession(source if isinstance(source, Session) else _text(source), reader)


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
