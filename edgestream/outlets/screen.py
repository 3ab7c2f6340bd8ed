# SPDX-License-Identifier: Apache-2.0
"""The live display: finished lines scroll up, the line being spoken is dim, the status below it."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from edgestream.captions.shown_text import printable
from edgestream.events import (
    Answer,
    Comment,
    Draft,
    Event,
    Final,
    Gap,
    Lag,
    Notice,
    Translation,
    TranslationDraft,
)
from edgestream.outlets.asides import STYLES, aside_line
from edgestream.outlets.time_of_day import elapsed, happened

STDERR_FD = 2
REFRESH_HZ = 12  # faster than reading, slow enough for a terminal at the end of a thin line
DRAFT_ROWS = 3  # of a long line being spoken, its end is shown
TROUBLE_SHOWN_S = 5.0  # how long the last gap or lag stays in the status line
LAG_WORTH_SHOWING_MS = 100.0
METER_CELLS = 10
METER_FLOOR_DBFS = -60.0
LOUD_DBFS = -3.0  # about to clip


class Screen:
    """Takes events as a writer does, and `status` as often as one likes; draws at REFRESH_HZ.

    On a stream that is no terminal only the finished lines are printed. Until `finish`, what C
    libraries write to a terminal's stderr is dropped, since it would tear the display apart
    (PortAudio does when a microphone vanishes); with `2>FILE` it is all there.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._draft = ""
        self._translation = ""  # the one being written
        self._time_ms = 0.0
        self._behind_ms = 0.0
        self._waited_ms: float | None = None
        self._gauge = Text()
        self._n_gaps = 0
        self._lost_ms = 0.0
        self._trouble = ""
        self._trouble_until_s = 0.0
        self._drawn_s = 0.0
        self._console = Console(file=stream or sys.stdout, highlight=False, markup=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            # What else is printed appears above the live lines, but only if it is for the terminal.
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
        )
        self._live.start()
        self._stderr_fd = _hush_stderr() if self._console.is_terminal else None

    def push(self, event: Event) -> None:
        """Show one event."""
        with self._console:  # whatever it takes, the terminal gets it in one piece
            self._take(event)
            self._draw(at_once=not isinstance(event, (Draft, TranslationDraft)))

    def status(self, time_ms: float, behind_ms: float, gauge: Text) -> None:
        """Source time taken in so far, distance to the live edge, and what the input is like."""
        self._time_ms, self._behind_ms, self._gauge = time_ms, behind_ms, gauge
        self._waited_ms = None
        self._draw(at_once=False)

    def wait(self, time_ms: float, waited_ms: float) -> None:
        """Instead of `status`: the source is away, and for how long."""
        self._time_ms, self._waited_ms, self._gauge = time_ms, waited_ms, Text()
        self._draw(at_once=False)

    def finish(self) -> None:
        """Take the live lines away and give the cursor back; may be repeated."""
        self._live.stop()
        if self._stderr_fd is not None:
            os.dup2(self._stderr_fd, STDERR_FD)
            os.close(self._stderr_fd)
            self._stderr_fd = None

    def _take(self, event: Event) -> None:
        if isinstance(event, Final):
            self._draft = ""
            if text := printable(event.text):
                self._console.print(_dated(event).append(text))
        elif isinstance(event, Draft):
            self._draft = printable(event.text)
        elif isinstance(event, TranslationDraft):
            self._translation = printable(event.text)
        elif isinstance(event, Gap):
            self._n_gaps += 1
            self._lost_ms += event.end_ms - event.start_ms
            self._note(event.reason)
        elif isinstance(event, Answer):
            self._console.print(Text(printable(f"{event.question} {event.text}"), style="italic"))
        elif isinstance(event, Notice):
            self._note(event.text)
        elif isinstance(event, Lag):
            self._note(f"too slow: {event.action}")
        elif aside := aside_line(event):
            self._print_aside(event, *aside)

    def _print_aside(self, event: Event, kind: str, text: str) -> None:
        """A translation stands below what it translates; the rest says what it is."""
        line = Text()
        if isinstance(event, Translation):
            self._translation = ""
        else:
            line.append(f"{kind}  ", "dim")
        self._console.print(line.append(text, STYLES[type(event)]))

    def _note(self, trouble: str) -> None:
        self._trouble = printable(trouble)
        self._trouble_until_s = time.monotonic() + TROUBLE_SHOWN_S

    def _draw(self, *, at_once: bool) -> None:
        now_s = time.monotonic()
        if not self._console.is_terminal or (
            not at_once and now_s - self._drawn_s < 1 / REFRESH_HZ
        ):
            return
        self._drawn_s = now_s
        width = self._console.width
        drafts = [(self._draft, "dim"), (self._translation, f"dim {STYLES[Translation]}")]
        lines = [Text(self._tail(text, width), style=style) for text, style in drafts if text]
        self._live.update(Group(*lines, self._status_line(width)), refresh=True)

    def _tail(self, text: str, width: int) -> str:
        """The end of a line that grows, as much as fits into DRAFT_ROWS."""
        rows = Text(text).wrap(self._console, max(1, width))
        if len(rows) <= DRAFT_ROWS:
            return text
        return "… " + " ".join(row.plain.strip() for row in rows[-DRAFT_ROWS + 1 :])

    def _status_line(self, width: int) -> Text:
        """As many of the parts, most important first, as the terminal is wide."""
        line = Text(elapsed(self._time_ms), style="cyan", no_wrap=True, end="")
        for part in self._parts():
            if line.cell_len + 2 + cell_len(part.plain) < width:
                line.append("  ").append_text(part)
        line.truncate(max(1, width - 1))  # a full line would wrap in some terminals
        return line

    def _parts(self) -> list[Text]:
        parts = [self._gauge] if self._gauge else []
        troubled = time.monotonic() < self._trouble_until_s and self._waited_ms is None
        if self._waited_ms is not None:
            parts.append(Text(f"reconnecting, {self._waited_ms / 1000:.0f} s", style="yellow"))
        elif self._behind_ms >= LAG_WORTH_SHOWING_MS:
            parts.append(Text(f"{self._behind_ms / 1000:.1f} s behind", style="yellow"))
        elif not troubled:
            parts.append(Text("live", style="green"))
        if self._n_gaps:
            plural = "" if self._n_gaps == 1 else "s"
            lost = f"{self._n_gaps} gap{plural}, {self._lost_ms / 1000:.1f} s lost"
            parts.append(Text(lost, style="red"))
        if troubled:
            parts.append(Text(self._trouble, style="yellow"))
        return parts


def _dated(final: Final) -> Text:
    """What stands before a line: of a comment when it happened, of captions nothing."""
    return Text().append(f"{happened(final)}  ", "dim") if isinstance(final, Comment) else Text()


def _hush_stderr() -> int | None:
    """Point the process's stderr at nothing; what it was, or None if it is no terminal.

    Python's own sys.stderr is not affected: the live display prints it above itself.
    """
    if not os.isatty(STDERR_FD):
        return None
    saved_fd = os.dup(STDERR_FD)
    null_fd = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_fd, STDERR_FD)
    os.close(null_fd)
    return saved_fd


def loudness(level_dbfs: float) -> Text:
    """The gauge of sound: the loudness of the last block."""
    share = 1 - max(METER_FLOOR_DBFS, min(0.0, level_dbfs)) / METER_FLOOR_DBFS
    filled = round(share * METER_CELLS)
    style = "red" if level_dbfs > LOUD_DBFS else "green"
    bar = Text("▮" * filled, style=style).append("▯" * (METER_CELLS - filled), style="dim")
    return bar.append(f" {max(METER_FLOOR_DBFS, level_dbfs):4.0f} dB", style="dim")


def activity(pictures_per_s: float, share_new: float) -> Text:
    """The gauge of pictures: how many are looked at, and the share of them that is new."""
    filled = round(share_new * METER_CELLS)
    bar = Text("▮" * filled, style="green").append("▯" * (METER_CELLS - filled), style="dim")
    return bar.append(f" {100 * share_new:3.0f} % new, {pictures_per_s:.1f} pictures/s", "dim")


def words_read(n_words: int) -> Text:
    """The gauge of text."""
    return Text(f"{n_words} words", style="dim")
