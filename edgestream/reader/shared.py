# SPDX-License-Identifier: Apache-2.0
"""Tasks that share a memory: the text is read once, and each asks a fork."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgestream.errors import UsageError
from edgestream.events import Answer, Event
from edgestream.reader.aside import Aside
from edgestream.reader.memory import Memory
from edgestream.reader.model import WINDOW, ReaderModel
from edgestream.reader.task import PROMPT, Task
from edgestream.reader.units import Unit
from edgestream.reader.writer import Writer

MAX_LATE = 4  # answers that wait; a task that is asked too often is not asked meanwhile


class SharedMemory:
    """Tasks of one prompt over one memory. `ask` is answered from it too."""

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
        prompt = tasks[0].prompt if tasks else PROMPT
        self.memory = Memory(model, prompt, regions=regions, window=window, n_threads=n_threads)
        self._tasks = tasks
        self._writer = Writer(beside=beside)
        self._newest = Unit("", 0.0, 0.0)

    def push(self, unit: Unit) -> list[Event]:
        """A unit is read; the events that are whole by now."""
        if unit.ends_line:
            self.memory.end_line()
        else:
            self.memory.read(f" {unit.text}")
        self._newest = unit
        events = self._writer.done()
        for task in self._tasks:
            if self._writer.n_waiting < MAX_LATE and task.policy.due(unit):
                events += self._asked(task, task.on_unit(unit))
        return events

    def ask(self, question: str) -> list[Event]:
        """A question of the user; its Answer comes now or later."""
        aside, time_ms = Aside(self.memory), self._newest.end_ms

        def write() -> str:
            try:
                return aside.ask(question)
            except UsageError as error:  # too long a question ends nothing
                return str(error)

        return self._writer.submit(write, lambda text: [Answer(question, text, time_ms)])

    def poll(self) -> list[Event]:
        """The events that are whole by now."""
        return self._writer.done()

    def finish(self) -> list[Event]:
        """The source has ended: what is left comes."""
        events = self._writer.finish()
        for task in self._tasks:
            events += self._asked(task, task.on_end(self._newest))
        return [*events, *self._writer.finish()]

    def close(self) -> None:
        """Lets go of the thread."""
        self._writer.close()

    def _asked(self, task: Task, question: str | None) -> list[Event]:
        if question is None:
            return []
        aside = Aside(self.memory)
        return self._writer.submit(
            lambda: task.write(aside, question), self._taker(task, self._newest)
        )

    def _taker(self, task: Task, unit: Unit) -> Callable[[str], list[Event]]:
        def take(text: str) -> list[Event]:
            if task.region and text:
                self.memory.keep(f"[{text}]\n", task.region)
            return list(task.on_text(text, unit))

        return take
