# SPDX-License-Identifier: Apache-2.0
"""Why the server does not do what a client asks: each protocol says it in its own words."""

from __future__ import annotations

from edgestream.errors import EdgestreamError

# The code of a refusal: the status of HTTP, and the code with which a web socket is closed.
STATUS = {
    "unauthorized": (401, 1008),
    "forbidden": (403, 1008),
    "bad-request": (400, 1008),
    "unknown-model": (404, 1008),
    "model_not_found": (404, 1008),  # the same, as OpenAI's clients know it
    "unknown-session": (404, 1008),
    "not-found": (404, 1008),
    "replaced": (409, 1008),
    "too-long": (413, 1009),
    "idle": (408, 1008),
    "slow-reader": (408, 1013),
    "full": (503, 1013),
    "shutting-down": (503, 1012),
    "failed": (500, 1011),
}


class RefusalError(EdgestreamError):
    """One line, with the way out, a `code` of the table above, and the field that is wrong."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.param = code, param

    @property
    def status(self) -> int:
        """Of HTTP."""
        return STATUS[self.code][0]

    @property
    def close_code(self) -> int:
        """Of a web socket."""
        return STATUS[self.code][1]
