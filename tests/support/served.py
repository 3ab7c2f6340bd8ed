# SPDX-License-Identifier: Apache-2.0
"""`edgestream serve` as people start it: a process that can be killed and begun anew."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys


class Served:
    """The process and its address, without a slash at its end."""

    def __init__(self, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self._options = options
        self.start()

    def start(self) -> None:
        """Until it says that it serves."""
        command = [sys.executable, "-m", "edgestream", "serve", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [*command, *self._options], stderr=subprocess.PIPE, text=True
        )
        told = []
        for line in self._process.stderr:
            told.append(line)
            if "serves http://" in line:
                return
        raise AssertionError("".join(told))

    def kill(self) -> None:
        """At once, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As Ctrl-C does."""
        self._end(signal.SIGINT)

    def _end(self, number: int) -> None:
        self._process.send_signal(number)
        self._process.communicate()
