# SPDX-License-Identifier: Apache-2.0
"""A real `edgestream serve`, as a process that can be killed, stopped and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil

START_S = 120.0  # until it answers, on a machine that is busy


class ServerProcess:
    """Listens on one port over all of its lives. What it says goes to the file `log`."""

    def __init__(self, log: Path, *options: str, command: tuple[str, ...] = ()) -> None:
        """`options` of `edgestream serve`; `command` stands before it, as `nice`."""
        self.log = log
        self.port = free_port()
        self._command = [
            *command, sys.executable, "-m", "edgestream", "serve", "--port", str(self.port),
            *options,
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None
        self.n_lives = 0

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def address(self) -> str:
        """As 127.0.0.1:8765."""
        return f"127.0.0.1:{self.port}"

    @property
    def stream(self) -> str:
        """Where clients of the own protocol connect."""
        return f"ws://{self.address}/v1/stream"

    @property
    def running(self) -> psutil.Process:
        """The process, to be measured."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def start(self) -> None:
        """Begins a life, and waits until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd="/")
        self.n_lives += 1
        until_s = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until_s:
                self.kill()
                raise RuntimeError(f"the server does not start; see {self.log}")
            time.sleep(0.1)

    def answers(self) -> bool:
        """Whether it says that it is well."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """Ends it at once, as `kill -9` does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def end(self) -> int:
        """Ends it as Ctrl-C does; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def pause(self) -> None:
        """Nothing of it runs until `go_on`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """After `pause`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
