# SPDX-License-Identifier: Apache-2.0
"""What the process of a command shares with the system: Ctrl-C, standard streams, memory."""

from __future__ import annotations

import math
import os
import signal
import sys
from contextlib import suppress
from typing import IO

from edgestream.errors import shown

INTERRUPTED = 130  # the exit code that shells give for Ctrl-C
# What the loader, C++, threads, protobuf, ggml, Rust and onnxruntime say where Python has no
# MemoryError.
MEMORY_WORDS = (
    "Cannot allocate memory", "cannot allocate memory", "bad_alloc", "bad allocation",
    "failed to map segment", "can't start new thread", "Failed to serialize proto",
    "cannot be had on CPU", "PyObject pointer is null", "Failed to allocate memory",
)  # fmt: skip


def end_at_once_on_ctrl_c() -> None:
    """Makes Ctrl-C the end, until a command minds what it has begun; ignored, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def clean_up_on_ctrl_c() -> None:
    """From here on Ctrl-C is a KeyboardInterrupt, so that what was begun is cleaned up."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def tell(line: str) -> None:
    """One line on stderr, if there is still somebody to read it."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(shown(line) + "\n")
            sys.stderr.flush()
    except OSError:
        pass


def is_out_of_memory(error: BaseException) -> bool:
    """Whether that is what an error of whatever library means."""
    return isinstance(error, MemoryError) or any(word in str(error) for word in MEMORY_WORDS)


def ending(exit_code: int | None) -> str:
    """How a process ended: a signal's name, or its exit code."""
    if exit_code is not None and exit_code < 0:
        with suppress(ValueError):
            return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def forget(stream: IO[str]) -> None:
    """Points a standard stream at nothing, so that the interpreter's last flush does not fail."""
    null_fd = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_fd, stream.fileno())
    os.close(null_fd)


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def address_space() -> float:
    """Bytes of it that the system allows this process."""
    try:
        import resource
    except ImportError:  # Windows
        return math.inf
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return math.inf if limit == resource.RLIM_INFINITY else limit
