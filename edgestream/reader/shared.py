# SPDX-License-Identifier: Apache-2.0
"""Tasks that share a memory: the text is read once, and each asks a fork."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from edgestream.events import Answer, Event, Notice
from edgestream.reader.aside import MAX_ANSWER, Aside, LongQuestionError
from edgestream.reader.memory import HEARD, Memory
from edgestream.reader.model import WINDOW, ReaderModel
from edgestream.reader.plain import with_example
from edgestream.reader.task import PROMPT, Task
from edgestream.reader.units import Unit
from edgestream.reader.writer import Writer

MAX_FORKS = 2  # answers that are written or wait, each with a memory of its own; no more are begun
MAX_QUESTIONS = 8  # of users, that wait
NOTHING_READ = "Nothing was read yet."
TOO_MANY = f"Not answered: {MAX_QUESTIONS} questions wait already; ask again later."


class SharedMemory:
    """Tasks of one prompt over one memory. `ask` is answered from it too.

    Where answers are written slower than lines come, tasks are asked less often, each in its turn,
    and questions wait in line: memory for MAX_FORKS answers is all that is ever taken.
    """

    def __init__(
        self,
        model: ReaderModel,
        tasks: Sequence[Task],
        *,
        beside: bool,
        window: int = WINDOW,
        n_threads: int = 1,
    ) -> None:
        """`window` and `n_threads` as of a Memory."""
        regions = {task.region: task.region_rows for task in tasks if task.region}
        prompt = _prompt(model, tasks)
        self.memory = Memory(model, prompt, regions=regions, window=window, n_threads=n_threads)
        self._tasks = tasks
        self._beside = beside
        self._writer = Writer(beside=beside)
        self._newest = Unit("", 0.0, 0.0)
        self._n_units = 0
        self._ended = False
        self._told_too_long = False
        self._questions: deque[str] = deque()  # that wait
        self._due: dict[int, bool] = {}  # tasks in the order in which they wait; at a line's end?
        self._to_keep: deque[tuple[str, str]] = deque()  # texts and their regions

    def push(self, unit: Unit) -> list[Event]:
        """A unit is read; the events that are whole by now."""
        events = self._writer.done()
        self._newest = unit
        self._n_units += 1
        if unit.ends_line:
            self.memory.end_line()
            events += self._arrived(wait=not self._beside)
        else:
            self.memory.read(f" {unit.text}")
        events += self._answered()
        return events + self._asked_in_turn(unit)

    def ask(self, question: str) -> list[Event]:
        """A question of the user; its Answer comes now or later, in the order of questions.

        Nothing comes of an empty one.
        """
        question = " ".join(question.split())
        if not question:
            return []
        if len(self._questions) >= MAX_QUESTIONS:
            return [Answer(question, TOO_MANY, self._newest.end_ms)]
        self._questions.append(question)
        return self._answered()

    @property
    def is_free(self) -> bool:
        """Whether a question would be begun with at once."""
        return self._has_room and not self._questions

    def poll(self) -> list[Event]:
        """The events that are whole by now."""
        return [*self._writer.done(), *self._answered()]

    def finish(self) -> list[Event]:
        """The source has ended: what is left comes. Each task sees what those before it wrote.

        Questions may still come; then what is left of those.
        """
        return [said for events in self.finishing() for said in events]

    def finishing(self) -> Iterator[list[Event]]:
        """As `finish`, each answer as soon as it is whole: who ends this loses no other."""
        is_first, self._ended = not self._ended, True
        yield self._writer.finish()
        if self._n_units and is_first:
            if not self._newest.ends_line:
                self.memory.end_line()
            yield self._arrived(wait=True)
            for task in self._tasks:
                yield [*self._asked(task, task.on_end(self._newest)), *self._writer.finish()]
        while self._questions:
            yield [*self._answered(), *self._writer.finish()]

    def close(self) -> None:
        """Lets go of the thread, and of what tasks have begun."""
        self._writer.close()
        for task in self._tasks:
            task.close()

    @property
    def _has_room(self) -> bool:
        return self._writer.n_waiting < MAX_FORKS

    def _arrived(self, *, wait: bool) -> list[Event]:
        """Between two lines: what waited for that enters the memory."""
        events: list[Event] = []
        for task in self._tasks:
            for news in task.arrived(self._newest, wait=wait):
                self._to_keep.append((news.text, task.region))
                events.append(news.event)
        self._keep()
        return events

    def _keep(self) -> None:
        while self._to_keep:
            text, region = self._to_keep.popleft()
            if text and region:
                self.memory.keep(text, region)

    def _answered(self) -> list[Event]:
        """Begins with the questions that wait, as far as there is room."""
        events: list[Event] = []
        while self._questions and self._has_room:
            events += self._answer(self._questions.popleft())
        return events

    def _answer(self, question: str) -> list[Event]:
        time_ms = self._newest.end_ms
        aside = Aside(self.memory) if self._n_units else None

        def write() -> str:
            try:
                return aside.ask(question, max_tokens=MAX_ANSWER) if aside else NOTHING_READ
            except LongQuestionError as error:  # it ends nothing
                return f"Not answered: {error}"

        return self._writer.submit(write, lambda text: [Answer(question, text, time_ms)])

    def _asked_in_turn(self, unit: Unit) -> list[Event]:
        """Asks tasks that are due, the one first that has waited longest.

        Where there is no room, a task waits for the next unit of its kind, a word or a line's end,
        and is asked about that one.
        """
        for at, task in enumerate(self._tasks):
            if task.policy.due(unit):
                self._due.setdefault(at, unit.ends_line)
        events: list[Event] = []
        for at, at_line_end in list(self._due.items()):
            if self._has_room and at_line_end == unit.ends_line:
                del self._due[at]
                events += self._asked(self._tasks[at], self._tasks[at].on_unit(unit))
        return events

    def _asked(self, task: Task, question: str | None) -> list[Event]:
        if question is None:
            return []
        aside, take = Aside(self.memory), self._taker(task, self._newest)

        def write() -> str | LongQuestionError:
            try:
                return task.write(aside, question)
            except LongQuestionError as error:  # as of a line in a script without tokens
                return error

        return self._writer.submit(
            write, lambda said: take(said) if isinstance(said, str) else self._too_long(said)
        )

    def _too_long(self, error: LongQuestionError) -> list[Event]:
        """Told once; other lines may be as long."""
        if self._told_too_long:
            return []
        self._told_too_long = True
        return [Notice(self._newest.end_ms, f"reading along leaves out what is too long: {error}")]

    def _taker(self, task: Task, unit: Unit) -> Callable[[str], list[Event]]:
        def take(text: str) -> list[Event]:
            self._to_keep.append((task.kept(text), task.region))
            if self._newest.ends_line:  # else it would stand within a line
                self._keep()
            return list(task.on_text(text, unit))

        return take


def _prompt(model: ReaderModel, tasks: Sequence[Task]) -> str:
    """Of the tasks' memory. A base model is shown an example too, where it has the usual one."""
    prompt = tasks[0].prompt if tasks else PROMPT
    told = dict.fromkeys(task.told for task in tasks if task.told)
    whole = " ".join([prompt, *told])
    return with_example(whole, HEARD) if model.chat.is_plain and prompt == PROMPT else whole
