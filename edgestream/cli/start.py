# SPDX-License-Identifier: Apache-2.0
"""How the `edgestream` command begins and ends: Ctrl-C, foreign printing, errors, little memory."""

from __future__ import annotations

import io
import os
import sys
from types import TracebackType

from edgestream.system.process import (
    INTERRUPTED,
    address_space,
    end_at_once_on_ctrl_c,
    forget,
    is_out_of_memory,
    tell,
)

NO_MEMORY = "not enough memory; close other programs, raise the limit (ulimit -v)"
# Of address space, by command; with less, libraries end the process while they are imported or
# open their first file: OpenBLAS, and for `watch` OpenCV.
LEAST_BYTES = {"listen": 192 << 20, "read": 192 << 20, "watch": 384 << 20}
LEAST_OF_ANY_BYTES = 160 << 20
# Of libraries that end or hang where memory is little. No work here gains by OpenBLAS's threads,
# each of which takes memory on import; Rust takes it to explain that there is none, and waits.
FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}


def main() -> None:
    """Entry point of the `edgestream` command."""
    end_at_once_on_ctrl_c()  # first, before the slow imports
    take_stderr_from_libraries()
    os.environ.update(FRUGAL)
    if isinstance(sys.stdout, io.TextIOWrapper):  # whatever a terminal's encoding cannot show
        sys.stdout.reconfigure(errors="replace")
    sys.excepthook = _unless_out_of_memory  # Rust calls it on its way to raise
    try:
        code = run_command()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(max(code, _flush()))


def take_stderr_from_libraries() -> None:
    """Gives Python's stderr a descriptor of its own; what C libraries print to theirs is dropped.

    Of a descriptor that was closed nothing is left open: no file of ours may get its number and
    with it what is printed.
    """
    null_fd = os.open(os.devnull, os.O_RDWR)
    while null_fd <= 2:  # a standard stream was closed
        null_fd = os.open(os.devnull, os.O_RDWR)
    if sys.stderr is not None:
        sys.stderr.flush()
        own = os.fdopen(
            os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
        )
        sys.stderr = own
    os.dup2(null_fd, 2)
    os.close(null_fd)


def run_command() -> int:
    """Runs the command; its exit code."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if address_space() < LEAST_BYTES.get(command, LEAST_OF_ANY_BYTES):
        tell(f"edgestream: {NO_MEMORY}")
        return 1
    try:
        from edgestream.cli.main import app

        return int(app(standalone_mode=False) or 0)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # what Rust panics with is no Exception
        code = getattr(error, "exit_code", None)  # of our own errors and of the command line's
        if is_out_of_memory(error):
            tell(f"edgestream: {NO_MEMORY}")
            return 1
        if isinstance(error, OSError):  # a stdout that takes no more, a folder that is gone
            where = f"{error.filename}: " if error.filename else ""
            tell(f"edgestream: {where}{error.strerror or error}")
            return 1
        if not isinstance(code, int):
            raise
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{said}\n")
        else:
            tell(f"edgestream: {said}")
        return code


def _flush() -> int:
    """Writes what Python still holds, or the interpreter would try it; 1 if stdout takes it not."""
    failed = 0
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError) as error:  # a full disk, a closed terminal
            gone = stream is sys.stderr or isinstance(error, BrokenPipeError)
            failed = failed if gone else 1
            forget(stream)
    return failed


def _unless_out_of_memory(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not is_out_of_memory(error):
        sys.__excepthook__(kind, error, trace)
