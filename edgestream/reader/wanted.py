# SPDX-License-Identifier: Apache-2.0
"""The tasks that come with edgestream, by what somebody wants of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgestream.reader.reader import AnyTask

EVERY_MS = 300_000.0  # between two notes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader is to do, in words and numbers alone: it may be sent to another process.

    `translate_to`: a language, as `fr`; `translate_from`: the one that is read, the task's usual
    one if None; `translate_policy`, `translate_layout`: when a word of it is written, and how it
    lies in memory, the task's usual ones if None. `note`: a question that is asked again and
    again, each `every_ms`.
    `alerts`, `alert_threshold` (0 to 1, the usual one if None): what is waited for, in words that a
    model understands; `wake`: phrases that are waited for as they are. `think`: thoughts beside
    each sentence. `tools`: files of tools.
    """

    translate_to: str | None = None
    translate_from: str | None = None
    translate_policy: str | None = None
    translate_layout: str | None = None
    note: str | None = None
    every_ms: float = EVERY_MS
    alerts: tuple[str, ...] = ()
    alert_threshold: float | None = None
    wake: tuple[str, ...] = ()
    think: bool = False
    tools: tuple[str, ...] = ()

    def tasks(self) -> Sequence[AnyTask]:
        """The tasks. Raises UsageError on what one of them cannot be told."""
        made: list[AnyTask | None] = [
            self._translation(), self._thoughts(), self._notes(), self._alerts(), self._calls(),
            self._phrases(),
        ]  # fmt: skip
        return [task for task in made if task is not None]

    def _translation(self) -> AnyTask | None:
        if self.translate_to is None:
            return None
        from edgestream.reader.translate import SOURCE, Translate

        source = SOURCE if self.translate_from is None else self.translate_from
        return Translate(
            self.translate_to, self.translate_policy, source=source, layout=self.translate_layout
        )

    def _thoughts(self) -> AnyTask | None:
        if not self.think:
            return None
        from edgestream.reader.think import Think

        return Think()

    def _notes(self) -> AnyTask | None:
        if self.note is None:
            return None
        from edgestream.reader.notes import Notes

        return Notes(self.note, self.every_ms)

    def _alerts(self) -> AnyTask | None:
        if not self.alerts:
            return None
        from edgestream.reader.alert import Alerts

        if self.alert_threshold is None:
            return Alerts(self.alerts)
        return Alerts(self.alerts, threshold=self.alert_threshold)

    def _calls(self) -> AnyTask | None:
        if not self.tools:
            return None
        from edgestream.reader.tool import read_tools
        from edgestream.reader.tooling import Tools

        return Tools(read_tools(list(self.tools)))

    def _phrases(self) -> AnyTask | None:
        if not self.wake:
            return None
        from edgestream.reader.wake import Wake

        return Wake(self.wake)
