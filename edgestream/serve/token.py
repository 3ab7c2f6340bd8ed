# SPDX-License-Identifier: Apache-2.0
"""The server's token: a secret that clients must know, kept in a file."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from edgestream.errors import UsageError

LEAST_CHARACTERS = 16  # that nobody guesses


def read_token(path: Path) -> str:
    """The first line of the file; one that is not there is made, for its owner's eyes alone.

    Raises UsageError where it cannot be read or made, or is too short.
    """
    try:
        if not path.exists():
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(secrets.token_urlsafe(24) + "\n")
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise UsageError(f"--token-file {path}: cannot be used: {why}") from None
    token = lines[0] if len(lines) == 1 else ""
    if len(token) < LEAST_CHARACTERS or not token.isascii():
        raise UsageError(
            f"--token-file {path}: must hold one word of {LEAST_CHARACTERS} letters or more;"
            " name a file that is not there, and one is made"
        )
    return token
