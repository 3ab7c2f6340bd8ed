# SPDX-License-Identifier: Apache-2.0
"""Where the captions of the command line go: the live display, a file, a pipe."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from edgestream.events import Event, Gap
from edgestream.screen import Screen
from edgestream.writer import Writer, open_writer


def open_outlets(
    format: str, output: Path | None, *, drafts: bool
) -> tuple[Writer | None, Screen | None]:
    """The live display when a person looks on; the written captions otherwise or as well."""
    terminal = sys.stdout is not None and sys.stdout.isatty()  # None where it is closed
    watched = terminal and (output is not None or format == "text")
    written = output is not None or not watched
    writer = open_writer(format, output, drafts=drafts) if written else None
    return writer, Screen() if watched else None


def show(events: list[Event], writer: Writer | None, screen: Screen | None) -> None:
    """Gives each event to what is open."""
    for event in events:
        if writer:
            writer.push(event)
        if screen:
            screen.push(event)


def tell_losses(events: list[Event], screen: Screen | None, sense: str) -> None:
    """Where no status line counts the gaps, each is a line on stderr."""
    for gap in events if screen is None else []:
        if isinstance(gap, Gap):
            start_s, end_s = gap.start_ms / 1000, gap.end_ms / 1000
            typer.echo(f"not {sense}: {start_s:.1f} s to {end_s:.1f} s, {gap.reason}", err=True)
