# SPDX-License-Identifier: Apache-2.0
"""A real `edgestream serve`, as a process that can be killed, stopped and started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType

import psutil

START_S = 120.0  # until it answers, on a machine that is busy


class ServerProcess:
    """Listens on one port over all of its lives. What it says goes to the file `log`."""

    def __init__(
        self, log: Path, *options: str, program: tuple[str, ...] = ("-m", "edgestream")
    ) -> None:
        """`options` of `edgestream serve`; `program`: how Python is told to run edgestream."""
        self.log = log
        self.port = free_port()
        self._command = [
            sys.executable, *program, "serve", "--port", str(self.port), *options,
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
        self.process = subprocess.Popen(self._command, stderr=subprocess.PIPE, cwd="/")
        # Through a pipe: where the server's disk is full, its log is not.
        threading.Thread(target=self._keep, args=(self.process,), daemon=True).start()
        self.n_lives += 1
        until_s = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until_s:
                self.kill()
                raise RuntimeError(f"the server does not start; see {self.log}")
            time.sleep(0.1)

    def _keep(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with self.log.open("ab") as log, process.stderr:
            for line in process.stderr:
                log.write(line)
                log.flush()

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

    def fill_disk(self) -> None:
        """No file of it gets longer until `free_disk`: the same to it as a full disk."""
        self.running.rlimit(psutil.RLIMIT_FSIZE, (1, psutil.RLIM_INFINITY))

    def free_disk(self) -> None:
        """After `fill_disk`."""
        self.running.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
