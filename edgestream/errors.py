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

Each message is one line: what, where, and the way out.
"""


class EdgestreamError(Exception):
    """Base of all errors; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(EdgestreamError):
    """The request cannot be met as given."""

    exit_code = 2


class SourceError(UsageError):
    """The input is missing, unreadable or not what it claims to be."""


class ModelError(UsageError):
    """The model is missing, damaged or not supported."""


class OperationError(EdgestreamError):
    """Something failed while running."""


class DeviceError(OperationError):
    """A microphone, a camera or an accelerator failed."""


class OutputError(OperationError):
    """Captions could not be written."""


class HubError(OperationError):
    """A model could not be fetched or put away."""


class ConversionError(OperationError):
    """A converted model is too far from its source."""
