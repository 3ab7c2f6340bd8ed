# SPDX-License-Identifier: Apache-2.0
"""Who takes comments as JSON: a command on its stdin, or an http server as a POST."""

from __future__ import annotations

import base64
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import SplitResult, unquote, urlsplit

from edgestream.errors import UsageError

CALL_LIMIT_S = 10.0
SAID_BYTES = 300  # of what a command says on stderr


class CommandReceiver:
    """Runs a command for each comment; no shell reads the words.

    Raises:
        UsageError: it cannot be split into words, or there is no such command.
    """

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--exec {command}: {str(error).lower()}; mind the quotes") from None
        if not self._words:
            raise UsageError("--exec: no command; give one, as --exec 'notify --from-stdin'")
        if shutil.which(self._words[0]) is None:
            raise UsageError(
                f"--exec {self._words[0]}: there is no such command, or it may not be run; give its"
                " name or path, and for a line of shell: sh -c '...'"
            )
        self.name = f"--exec {self._words[0]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False
        self._starting = threading.Lock()

    def call(self, record: str) -> str:
        """Runs it with the record and a newline on stdin; what went wrong, or nothing."""
        try:
            # Into a file: a pipe would be waited for as long as any process holds its other end.
            with tempfile.TemporaryFile() as said:
                code = self._run(f"{record}\n".encode(), said)
                return f"exit code {code}{_last_line(said)}" if code else ""
        except subprocess.TimeoutExpired:
            self._kill()
            return f"took longer than {CALL_LIMIT_S:g} s and was ended"
        except OSError as error:
            return error.strerror or str(error)

    def _run(self, data: bytes, said: IO[bytes]) -> int:
        with self._starting:
            if self._stopped:
                return 0  # nobody waits for it
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said,
                start_new_session=True,
            )  # fmt: skip
        self._process.communicate(data, CALL_LIMIT_S)
        return self._process.returncode

    def stop(self) -> None:
        """Ends the command and what it started; none is started any more."""
        with self._starting:
            self._stopped = True
        self._kill()

    def _kill(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (AttributeError, OSError):  # Windows; or it has just ended
            process.kill()
        process.wait()


class PostReceiver:
    """Posts each comment to an http or https address, as application/json.

    A server that sends elsewhere is a failure: what is posted would not go along.

    Raises:
        UsageError: the address is none.
    """

    def __init__(self, url: str) -> None:
        parts = _parts(url)
        if parts is None or not parts.hostname or parts.scheme not in ("http", "https"):
            raise UsageError(f"--post {url}: not an address; give http://host/path, or https")
        self.name = f"--post {parts.hostname}"
        self._headers = {"Content-Type": "application/json", "User-Agent": "edgestream"}
        if parts.username is not None:
            self._headers["Authorization"] = _basic(parts)
        host = parts.netloc.rpartition("@")[2]
        self._url = parts._replace(netloc=host, fragment="").geturl()
        self._opener = _opener()

    def call(self, record: str) -> str:
        """Posts one record; what went wrong, or nothing."""
        request = urllib.request.Request(self._url, record.encode(), self._headers)
        try:
            with self._opener.open(request, timeout=CALL_LIMIT_S):
                return ""
        except urllib.error.HTTPError as error:
            error.close()
            to = error.headers.get("Location")
            elsewhere = f"; it sends to {to}, give that address" if to else ""
            return f"the server answers {error.code} {error.reason}{elsewhere}"
        except urllib.error.URLError as error:
            return f"cannot be reached: {error.reason}"
        except TimeoutError:
            return f"no answer within {CALL_LIMIT_S:g} s"
        except (OSError, ValueError, http.client.HTTPException) as error:
            return f"no answer: {error}"

    def stop(self) -> None:
        """A server that says nothing is given up in time; nothing waits for it."""


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https alone, and follows no redirection."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(), urllib.request.HTTPDefaultErrorHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # which raises where it is no number
        (parts.hostname or "").encode("idna")  # likewise, of a host with no name
    except ValueError:
        return None
    printable = url.isascii() and url.isprintable() and " " not in url
    return parts if printable else None


def _basic(parts: SplitResult) -> str:
    secret = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(secret.encode()).decode()}"


def _last_line(said: IO[bytes]) -> str:
    end = said.seek(0, os.SEEK_END)
    said.seek(max(0, end - SAID_BYTES))
    lines = said.read().decode("utf-8", "replace").split("\n")
    text = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {text}" if text else ""
