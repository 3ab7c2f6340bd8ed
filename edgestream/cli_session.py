# SPDX-License-Identifier: Apache-2.0
"""What `listen` and `watch` share: a session from its start to the exit code."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from edgestream.errors import EdgestreamError, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from edgestream.events import Event
    from edgestream.session import Session

# Ctrl-C, a service manager, a terminal that is closed.
ENDINGS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Format(str, Enum):
    """How captions are written."""

    text = "text"
    jsonl = "jsonl"
    srt = "srt"
    vtt = "vtt"


def run(
    session: Session[Any, Any],
    format: Format,
    output: Path | None,
    gauge: Callable[[], Text],
    *,
    sense: str = "heard",
    drafts: bool = False,
    see: Sequence[Callable[[list[Event]], None]] = (),
) -> None:
    """Runs the session to its end; Ctrl-C or SIGTERM ends the input, not the captions.

    `gauge` is what the status line shows of the input, `sense` what is not done with lost input;
    `see` get all events too.
    """
    from edgestream.outlet import open_outlets, show, tell_losses

    try:
        writer, screen = open_outlets(format.value, output, drafts=drafts)
    except BaseException:
        session.source.close()
        raise
    with stop_on_signal(session):
        try:
            for events in session.blocks():
                show(events, writer, screen)
                if format is not Format.jsonl:
                    tell_losses(events, screen, sense)
                for each in see:
                    each(events)
                if screen:
                    screen.status(session.stream.heard_ms, session.source.behind_ms, gauge())
        except BrokenPipeError:
            _forget_stdout()  # the reader of our stdout has gone, as with `| head`: a normal end
        finally:
            try:
                if screen:
                    screen.finish()
            finally:
                if writer:
                    writer.finish()
    if screen and session.meter.lost_ms:
        typer.echo(f"{session.meter.lost_ms / 1000:.1f} s of the input were not {sense}", err=True)


def output_beside(source: str | None, output: Path | None) -> Path | None:
    """Where to write; None is stdout, which `-` names by an old custom. Never over the input."""
    if output is None or output == Path("-"):
        return None
    if source and _same_file(source, output):
        raise UsageError(f"{output}: is the input as well; choose another --output")
    return output


def _same_file(one: str, other: Path) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def memory() -> str:
    """The most memory that this process had, where the system counts it."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes
    return f", memory {peak_bytes / 2**20:.0f} MB"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What edgestream raises on purpose becomes one line on stderr and an exit code."""
    try:
        yield
    except EdgestreamError as error:
        _fail(error)


def _fail(error: EdgestreamError) -> NoReturn:
    typer.echo(f"edgestream: {error}", err=True)
    raise typer.Exit(error.exit_code)


def _forget_stdout() -> None:
    """Points stdout at nothing, so that the interpreter's last flush does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def stop_on_signal(session: Session[Any, Any]) -> Iterator[None]:
    """The first Ctrl-C ends the input and lets the last words come; the second ends at once."""
    old: dict[int, Any] = {}

    def stop(signum: int, _frame: object) -> None:
        for number, handler in old.items():
            signal.signal(number, handler)
        session.stop()

    old |= {wanted: signal.signal(wanted, stop) for wanted in ENDINGS}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
