# SPDX-License-Identifier: Apache-2.0
"""What `listen`, `watch` and `read` share: a session from its start to the exit code."""

from __future__ import annotations

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from edgestream.errors import EdgestreamError, UsageError
from edgestream.outlets.formats import ORIGINAL, Format
from edgestream.system.process import clean_up_on_ctrl_c, is_out_of_memory, tell

if TYPE_CHECKING:
    from rich.text import Text

    from edgestream.events import Event
    from edgestream.outlets.open import Companion
    from edgestream.reader.read import ReadSession
    from edgestream.session import Session
    from edgestream.vision.stages import Seen

STDIN_FD = 0
# Ctrl-C, a service manager, a terminal that is closed.
ENDINGS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def run(
    session: Session[Any, Any] | ReadSession,
    format: Format,
    output: Path | None,
    gauge: Callable[[], Text],
    *,
    drafts: bool = False,
    subtitles: str = ORIGINAL,
    patient: bool = False,
    window: str | None = None,
    seen: Callable[[], Sequence[Seen]] = tuple,
    companions: Sequence[Companion] = (),
    count: Callable[[list[Event]], None] | None = None,
) -> None:
    """Runs the session to its end; Ctrl-C or SIGTERM ends the input, not the captions.

    `gauge` is what the status line shows of the input;
    `window` is the title of a window with the newest picture, in which `seen` is marked;
    `patient`: what reads along comes after, and subtitles wait for it;
    `companions` get what is displayed too, and `count` all events.
    """
    from edgestream.outlets.open import Outlets

    try:
        outlets = Outlets(
            format.value, output, drafts=drafts, subtitles=subtitles, patient=patient,
            window=window,
            on_close=session.stop, seen=seen, companions=companions,
        )  # fmt: skip
    except BaseException:
        session.close()
        raise
    failed = True
    try:
        with stop_on_signal(session):
            for events in session.blocks():
                outlets.push(events, session.newest)
                if count is not None:
                    count(events)
                if not outlets.open:
                    break
                outlets.status(session.stream.heard_ms, session.source.behind_ms, gauge)
        failed = False
    finally:
        watched = outlets.screen is not None
        clean_up_on_ctrl_c()  # what companions have begun, while they are waited for
        try:
            outlets.finish(failed=failed)
        finally:
            session.close()
    if outlets.failure:
        raise outlets.failure
    if watched and session.meter.lost_ms:
        tell(f"{session.meter.lost_ms / 1000:.1f} s of the input were lost")


def output_beside(source: str | None, output: Path | None, *, asked: bool = False) -> Path | None:
    """Where to write; None is stdout, which `-` names by an old custom. Never over the input.

    `asked`: questions come from stdin beside the source.
    """
    if output is None or output == Path("-"):
        return None
    inputs: list[str | int] = [source] if source and source != "-" else []
    inputs += [STDIN_FD] if source == "-" or asked else []
    if any(_same_file(each, output) for each in inputs):
        raise UsageError(f"{output}: is the input as well; choose another --output")
    return output


def _same_file(one: str | int, other: Path) -> bool:
    """Whether both are one regular file, whatever their names and links."""
    try:
        first, second = os.stat(one), os.stat(other)
    except (OSError, ValueError):  # one of them is not there
        return False
    return stat.S_ISREG(first.st_mode) and os.path.samestat(first, second)


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
        if is_out_of_memory(error):  # whatever it was for
            raise
        tell(f"edgestream: {error}")
        raise typer.Exit(error.exit_code) from None


class Stoppable(Protocol):
    """What runs until it is told to stop: a session, a pool of processes."""

    def stop(self) -> None: ...


@contextmanager
def stop_on_signal(session: Stoppable) -> Iterator[None]:
    """The first Ctrl-C stops it, and the last words still come; the second ends at once.

    A signal that is ignored, as `nohup` or a script's `&` has it, stays ignored.
    """
    old: dict[int, Any] = {}

    def stop(signum: int, _frame: object) -> None:
        restore()
        clean_up_on_ctrl_c()  # the display's, if there is one
        session.stop()

    def restore() -> None:
        for number, handler in old.items():
            signal.signal(number, handler)

    for wanted in ENDINGS:
        if signal.getsignal(wanted) is not signal.SIG_IGN:
            old[wanted] = signal.signal(wanted, stop)
    try:
        yield
    finally:
        restore()
