# SPDX-License-Identifier: Apache-2.0
"""Questions that come while a stream is watched: answered aside, the commentary undisturbed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from edgestream.errors import UsageError
from edgestream.events import Answer, Event
from edgestream.session import Input, Reading, Session
from edgestream.sources.picture import PictureSource
from edgestream.sources.questions import Questions
from edgestream.vision.stream import PictureStream


class Asking:
    """Answers questions one after the other, each from a fork of what the stream knows.

    Lines are read on a thread, answers written on another; a question waits for the one before it,
    so that there is never more than one fork.
    """

    def __init__(self, stream: PictureStream, questions: Iterable[str]) -> None:
        self._stream = stream
        self._questions = Questions(questions)
        self._pool = ThreadPoolExecutor(1, "edgestream-answer")
        self._open: Future[Answer] | None = None

    def push(self) -> list[Event]:
        """Call it between two pictures: the answer that is whole, if any; begins the next one."""
        answers: list[Event] = []
        if self._open and self._open.done():
            answers.append(self._open.result())
            self._open = None
        if self._open is None and (question := self._questions.take()):
            self._open = self._pool.submit(self._answering(question))
        return answers

    def finish(self) -> list[Event]:
        """The answers to all that was asked so far; they are waited for."""
        answers: list[Event] = []
        while self._open or self._questions.any_wait:
            answers += self.push()
            if self._open:
                self._open.exception()  # waits
        return answers

    def close(self) -> None:
        """Lets go of the threads; a line that is waited for is nobody's."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answering(self, question: str) -> Callable[[], Answer]:
        time_ms = self._stream.heard_ms
        try:
            answer = self._stream.ask(question)
        except UsageError as error:  # too long a question ends no commentary
            text = str(error)
            return lambda: Answer(question, text, time_ms)
        return lambda: Answer(question, answer(), time_ms)


class AskedReading(Reading):
    """A source on its way through a stream, questions answered between its pictures."""

    def __init__(self, source: Input, stream: PictureStream, questions: Iterable[str]) -> None:
        super().__init__(source, stream)
        self._asking = Asking(stream, questions)

    def blocks(self) -> Generator[list[Event], None, None]:
        """As of a Reading, answers among the events."""
        try:
            for events in super().blocks():
                yield [*events, *self._asking.push()]
            yield self._asking.finish()
        finally:
            self._asking.close()


class AskedSession(Session[PictureSource, PictureStream]):
    """A session that answers questions between its pictures."""

    def __init__(
        self, source: PictureSource, stream: PictureStream, questions: Iterable[str]
    ) -> None:
        self._questions = questions
        super().__init__(source, stream)

    def _begin(self) -> Reading:
        return AskedReading(self.source, self.stream, self._questions)
