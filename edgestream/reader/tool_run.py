# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of tools beside the reading: begun at once, read when they are done.

A command gets its arguments as JSON on stdin, never as a part of its words and never through a
shell. It runs in a process group of its own, which ends with it, at its time limit, at `close()`,
and when our process ends, even by SIGKILL; with little of our environment; and of what it says
64 kB are kept.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from edgestream.errors import UsageError
from edgestream.reader.tool import Call

MAX_OUTPUT = 1 << 16  # bytes
MAX_COMPLAINT = 200  # characters of the last line on stderr
READ_BYTES = 1 << 13
MAX_RUNNING = 4  # calls at once
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "SYSTEMROOT")  # the last for Windows, which needs it
DRAIN_S = 1.0  # for what an ended command had written
# Reads the group's number, waits until nobody holds its pipe any more, ends the group.
WATCH = 'read -r group && { read -r rest; kill -s KILL -- "-$group"; }'


@dataclass(frozen=True, slots=True)
class Result:
    """What a command said, without the line end behind it; bytes that are no UTF-8 are replaced.
    `problem`: why it is not the whole answer, or empty."""

    text: str
    problem: str = ""


class Running:
    """A call that was begun."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._over = threading.Event()
        self._changing = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._result = Result("", "was stopped")

    @property
    def done(self) -> bool:
        """Whether the result is there."""
        return self._over.is_set()

    def result(self, timeout_s: float | None = None) -> Result | None:
        """Waits for the result; None if it does not come in this time."""
        return self._result if self._over.wait(timeout_s) else None

    def stop(self) -> None:
        """Ends the command and what it started."""
        with self._changing:
            self._stopped = True
            self._kill()

    def run(self) -> None:
        """Runs the command to its end, on the thread that calls."""
        try:
            self._result = self._run()
        except OSError as error:
            self._result = Result("", f"cannot be run: {error.strerror or error}")
        finally:
            self._over.set()

    def _run(self) -> Result:
        tool = self.call.tool
        with (
            tempfile.TemporaryFile() as arguments,
            tempfile.TemporaryDirectory(
                prefix="edgestream-tool-", ignore_cleanup_errors=True
            ) as empty,
            _watchman() as watch,
        ):
            arguments.write(json.dumps(self.call.arguments).encode())
            arguments.seek(0)
            process = self._started(arguments, tool.folder or empty)
            if process is None:
                return self._result
            if watch:
                with suppress(OSError):  # somebody ended it
                    watch.write(b"%d\n" % process.pid)
            over = threading.Event()
            said, complaint = Kept(process.stdout, over), Kept(process.stderr)
            threading.Thread(target=_wait, args=(process, over), daemon=True).start()
            in_time = over.wait(tool.timeout_s)
            with self._changing:
                self._kill()
                process.wait()
            said.join(DRAIN_S)
            complaint.join(DRAIN_S)
            return Result(said.text(), self._problem(in_time, process.returncode, said, complaint))

    def _started(self, arguments: IO[bytes], folder: str) -> subprocess.Popen[bytes] | None:
        with self._changing:
            if self._stopped:
                return None
            self._process = subprocess.Popen(
                self.call.tool.command,
                stdin=arguments,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
                start_new_session=True,
            )
        return self._process

    def _kill(self) -> None:
        """Also what an ended command left behind in its group."""
        if self._process is None or self.done:
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (AttributeError, OSError):  # Windows; or all have ended
            self._process.kill()

    def _problem(self, in_time: bool, code: int, said: Kept, complaint: Kept) -> str:
        if self._stopped:
            return "was stopped"
        if said.is_full:
            return f"said more than {MAX_OUTPUT >> 10} kB"
        if not in_time:
            return f"took longer than {self.call.tool.timeout_s:g} s"
        if code == 0:
            return ""
        lines = complaint.text().splitlines()
        return f"exit code {code}" + (f": {lines[-1][:MAX_COMPLAINT]}" if lines else "")


class Kept(threading.Thread):
    """Reads a pipe to its end and keeps the first MAX_OUTPUT bytes. Sets `full` when more come."""

    def __init__(self, pipe: IO[bytes] | None, full: threading.Event | None = None) -> None:
        super().__init__(name="edgestream-tool-output", daemon=True)
        assert pipe is not None
        self._pipe, self._full, self._data = pipe, full, bytearray()
        self.is_full = False
        self.start()

    def run(self) -> None:
        """Until nobody holds the pipe's other end."""
        with self._pipe:
            while data := os.read(self._pipe.fileno(), READ_BYTES):
                room = MAX_OUTPUT - len(self._data)
                self._data += data[:room]
                if len(data) > room and self._full:
                    self.is_full = True
                    self._full.set()

    def text(self) -> str:
        """What was read by now."""
        return bytes(self._data).decode("utf-8", "replace").rstrip("\r\n")


class ToolRunner:
    """Runs calls, MAX_RUNNING at once. For `with`; at the end of the program all are ended too."""

    def __init__(self) -> None:
        self._running: list[Running] = []
        self._closed = False
        self._changing = threading.Lock()
        weakref.finalize(self, _stop, self._running)

    def start(self, call: Call) -> Running:
        """Begins a call and comes back at once.

        Raises UsageError where the runner is closed or MAX_RUNNING calls are running.
        """
        with self._changing:
            self._running[:] = [each for each in self._running if not each.done]
            if self._closed:
                raise UsageError("tools: the runner is closed")
            if len(self._running) == MAX_RUNNING:
                raise UsageError(f"tools: {MAX_RUNNING} calls are running; wait for one of them")
            running = Running(call)
            self._running.append(running)
        threading.Thread(target=running.run, name="edgestream-tool", daemon=True).start()
        return running

    def close(self) -> None:
        """Ends all that run; waits until they have. On any thread; may be repeated."""
        with self._changing:
            self._closed = True
        _stop(self._running)
        for running in self._running:
            running.result(DRAIN_S * 3)

    def __enter__(self) -> ToolRunner:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _watchman() -> Iterator[IO[bytes] | None]:
    """A process that outlives this one if it is killed. It is told a group's number, and ends that
    group when the pipe ends. None where there are no groups."""
    if os.name != "posix":
        yield None
        return
    watchman = subprocess.Popen(
        ["/bin/sh", "-c", WATCH], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, bufsize=0, start_new_session=True,
    )  # fmt: skip
    try:
        yield watchman.stdin
    finally:
        watchman.kill()  # before its pipe ends: by then the number may be another's
        watchman.communicate()


def _wait(process: subprocess.Popen[bytes], over: threading.Event) -> None:
    process.wait()
    over.set()


def _stop(running: list[Running]) -> None:
    for each in running:
        each.stop()
