# SPDX-License-Identifier: Apache-2.0
"""A reader: a model and its tasks over one stream of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from edgestream.errors import UsageError
from edgestream.events import Event
from edgestream.reader.model import WINDOW, ReaderModel
from edgestream.reader.shared import SharedMemory
from edgestream.reader.task import PROMPT, Task
from edgestream.reader.units import CommittedWords, Unit


class Stage(Protocol):
    """What reads all units and says something of them now and then."""

    def push(self, unit: Unit) -> list[Event]:
        """A unit; the events that are whole by now."""

    def poll(self) -> list[Event]:
        """The events that are whole by now."""

    def finish(self) -> list[Event]:
        """The source has ended: what is left comes."""

    def close(self) -> None:
        """Lets go of threads and memory."""


@runtime_checkable
class LateStage(Protocol):
    """A stage that takes units faster than it reads them."""

    @property
    def is_behind(self) -> bool:
        """Whether so many wait that who can should give it no more for now."""


@runtime_checkable
class OwnStage(Protocol):
    """A task that reads in its own way: in a memory of its own, or in none."""

    def stage(self, model: ReaderModel | None, *, beside: bool, n_threads: int) -> Stage:
        """Its stage; `beside`: what takes long is done on a thread."""


AnyTask = Task | OwnStage


class Reader:
    """Push the events of a stream; get what the tasks say. Any cutting into events whose committed
    words are the same gives the same, unless it answers `beside`."""

    def __init__(
        self,
        model: ReaderModel | None,
        tasks: Sequence[AnyTask],
        *,
        asked: bool = False,
        beside: bool = False,
        window: int = WINDOW,
        n_threads: int = 1,
    ) -> None:
        """`model` may be None where no task needs one. `asked`: questions may come. `beside`:
        answers are written on a thread, for live sources. `window` and `n_threads` as of a Memory.

        Raises UsageError or ModelError on what cannot be used.
        """
        self._words = CommittedWords()
        self._asked = asked
        self._ended = False
        own = [task for task in tasks if isinstance(task, OwnStage)]
        plain = [task for task in tasks if isinstance(task, Task)]
        self._stages: list[Stage] = [
            task.stage(model, beside=beside, n_threads=n_threads) for task in own
        ]
        self._shared: list[SharedMemory] = []
        for group in _by_prompt(plain, asked=asked):
            assert model is not None, "a task without a model"
            self._shared.append(
                SharedMemory(model, group, beside=beside, window=window, n_threads=n_threads)
            )
        self._stages += self._shared

    def push(self, event: Event) -> list[Event]:
        """An event of the stream; what the tasks say by now."""
        return [said for unit in self._words.push(event) for said in self.read(unit)]

    def read(self, unit: Unit) -> list[Event]:
        """A unit of what was said, for who has units already; what the tasks say by now."""
        return [said for stage in self._stages for said in stage.push(unit)]

    def poll(self) -> list[Event]:
        """What the tasks say by now, where nothing was pushed."""
        return [said for stage in self._stages for said in stage.poll()]

    def ask(self, question: str) -> list[Event]:
        """A question of the user about what was read; its Answer comes now or later.

        Raises UsageError where the reader was not made with `asked`.
        """
        if not self._asked:
            raise UsageError("this reader answers no questions; make it with asked=True")
        return self._shared[0].ask(question)

    @property
    def is_free(self) -> bool:
        """Whether a question would be begun with at once, and not wait for other answers."""
        return self._asked and self._shared[0].is_free

    @property
    def is_behind(self) -> bool:
        """Whether units wait in it; who can should give it no more for now."""
        return any(isinstance(stage, LateStage) and stage.is_behind for stage in self._stages)

    def finish(self) -> list[Event]:
        """The source has ended: what is left comes. After it questions alone may come, and this
        again, which waits for their answers."""
        return [said for events in self.finishing() for said in events]

    def finishing(self) -> Iterator[list[Event]]:
        """As `finish`, each part as soon as it is there."""
        stages = self._shared[:1] if self._ended else self._stages
        self._ended = True
        for stage in stages:
            if isinstance(stage, SharedMemory):
                yield from stage.finishing()
            else:
                yield stage.finish()

    def close(self) -> None:
        """Lets go of threads; may be repeated."""
        for stage in self._stages:
            stage.close()


def _by_prompt(tasks: Sequence[Task], *, asked: bool) -> list[list[Task]]:
    """Tasks that share a memory; the usual prompt's first, which is the one that is asked."""
    groups: dict[str, list[Task]] = {PROMPT: []} if asked else {}
    for task in sorted(tasks, key=lambda task: task.prompt != PROMPT):
        groups.setdefault(task.prompt, []).append(task)
    return list(groups.values())
