# SPDX-License-Identifier: Apache-2.0
"""Everything that edgestream raises on purpose.

    EdgestreamError
    ├── UsageError        the request cannot be met as given (exit code 2)
    │   ├── SourceError       the input is missing, unreadable or not what it claims to be
    │   └── ModelError        the model is missing, damaged or not supported
    └── OperationError    something failed while running (exit code 1)
        ├── DeviceError       a microphone, a camera or an accelerator failed
        ├── OutputError       captions could not be written
        ├── HubError          a model could not be fetched or put away
        └── ConversionError   a converted model is too far from its source

Each message is one line: what, where, and the way out. Names in it come from anywhere: what would
steer a terminal or is no Unicode is shown as an escape.
"""

from collections.abc import Iterator
from contextlib import contextmanager

JOINERS = "\u200c\u200d"  # unprintable for Python, but parts of words


def shown(text: str) -> str:
    """The text on one line, with \\x1b for a control character and \\xff for a byte of no UTF-8."""
    return "".join(c if c.isprintable() or c in JOINERS else _escape(c) for c in text)


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # what Python makes of a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


class EdgestreamError(Exception):
    """Base of all errors; `exit_code` is what the command line returns."""

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(shown(message))


class UsageError(EdgestreamError):
    """The request cannot be met as given."""

    exit_code = 2


class SourceError(UsageError):
    """The input is missing, unreadable or not what it claims to be."""


class ModelError(UsageError):
    """The model is missing, damaged or not supported."""


class OperationError(EdgestreamError):
    """Something failed while running."""


@contextmanager
def computing() -> Iterator[None]:
    """Native code that fails at work is one line: weights that give no numbers, a lost device."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise OperationError(str(error)) from None


class DeviceError(OperationError):
    """A microphone, a camera or an accelerator failed."""


class OutputError(OperationError):
    """Captions could not be written."""


class HubError(OperationError):
    """A model could not be fetched or put away."""


class ConversionError(OperationError):
    """A converted model is too far from its source."""
