# SPDX-License-Identifier: Apache-2.0
"""Where the events of the command line go: the live display, a file, a pipe, a window."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edgestream.errors import EdgestreamError, OutputError
from edgestream.events import Event
from edgestream.outlets.formats import ORIGINAL
from edgestream.outlets.screen import Screen
from edgestream.outlets.troubles import Troubles
from edgestream.outlets.writers import Writer, open_writer
from edgestream.sources.picture import Picture, Waiting
from edgestream.system.process import forget, tell

if TYPE_CHECKING:
    from rich.text import Text

    from edgestream.outlets.window import Window
    from edgestream.vision.stages import Seen

NOBODY = "the terminal was closed; write the captions with --output FILE"


class Companion(Protocol):
    """Takes events beside what is displayed and written; its failures end nothing."""

    def push(self, events: list[Event], newest: object) -> None:
        """The events, and what the source gave last."""
        ...

    def finish(self) -> None: ...


class Outlets:
    """The live display when a person looks on; the written captions otherwise or as well; a window
    with the newest picture, if it is given a title; and `companions`.

    Each fails alone: one that does is left, the others go on. `open` is false once nothing is
    displayed or written any more. `on_close` is called when the window is closed; `seen` is what is
    marked in its picture. `patient` as open_writer takes it.
    """

    def __init__(
        self,
        format: str,
        output: Path | None,
        *,
        drafts: bool,
        subtitles: str = ORIGINAL,
        patient: bool = False,
        window: str | None = None,
        on_close: Callable[[], None] = lambda: None,
        seen: Callable[[], Sequence[Seen]] = tuple,
        companions: Sequence[Companion] = (),
    ) -> None:
        terminal = sys.stdout is not None and sys.stdout.isatty()  # None where it is closed
        watched = terminal and (output is not None or format == "text")
        written = output is not None or not watched
        self._writer: Writer | None = (
            open_writer(format, output, drafts=drafts, subtitles=subtitles, patient=patient)
            if written
            else None
        )
        self.screen: Screen | None = Screen() if watched else None
        self.failure: EdgestreamError | None = None
        self._window = _open_window(window, on_close) if window else None
        self._seen = seen
        self._companions = companions
        # JSONL holds its gaps and notices itself.
        self._troubles = Troubles() if format != "jsonl" else None
        self._waiting: Waiting | None = None

    @property
    def open(self) -> bool:
        """Whether anybody still takes the events."""
        return self._writer is not None or self.screen is not None

    def push(self, events: list[Event], newest: object = None) -> None:
        """Gives each event to what is open; `newest` is what the source gave last."""
        for event in events:
            self._write(event)
            self._draw(lambda screen, event=event: screen.push(event))  # type: ignore[misc]
        if self._troubles and self.screen is None:
            self._troubles.push(events, newest)
        self._waiting = newest if isinstance(newest, Waiting) else None
        for companion in self._companions:
            companion.push(events, newest)
        if self._window is not None:
            if isinstance(newest, Picture):
                self._window.show(newest.rgb, self._seen())
            self._window.push(events)

    def status(self, time_ms: float, behind_ms: float, gauge: Callable[[], Text]) -> None:
        """What the live display shows of the input, or that it is waited for."""
        if away := self._waiting:
            self._draw(lambda screen: screen.wait(away.time_ms, away.time_ms - away.since_ms))
        else:
            self._draw(lambda screen: screen.status(time_ms, behind_ms, gauge()))

    def finish(self, *, failed: bool) -> None:
        """Closes all; an old file stays as it was if the run `failed` before a word was written."""
        self._draw(lambda screen: screen.finish())
        if self._troubles:
            self._troubles.finish()
        if self._window is not None:
            self._window.finish()
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.abandon() if failed else writer.finish()
        except BrokenPipeError:
            forget(sys.stdout)
        except EdgestreamError as error:
            self.failure = self.failure or error
        for companion in self._companions:
            companion.finish()

    def _write(self, event: Event) -> None:
        try:
            if self._writer is not None:
                self._writer.push(event)
        except BrokenPipeError:  # the reader of our stdout has gone, as with `| head`: a normal end
            self._writer = None
            forget(sys.stdout)
        except EdgestreamError as error:
            self._writer, self.failure = None, error
            if self.screen is not None:
                tell(f"edgestream: {error}")

    def _draw(self, how: Callable[[Screen], None]) -> None:
        try:
            if self.screen is not None:
                how(self.screen)
        except OSError:  # its terminal was closed
            screen, self.screen = self.screen, None
            forget(sys.stdout)
            if screen is not None:
                screen.finish()
            if self._writer is None:
                self.failure = self.failure or OutputError(NOBODY)


def _open_window(title: str, on_close: Callable[[], None]) -> Window:
    from edgestream.outlets.window import Window

    return Window(title, on_close)
