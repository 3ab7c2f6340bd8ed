# SPDX-License-Identifier: Apache-2.0
"""What belongs to the process that made it: native memory, threads and open files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from edgestream.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Self


class OneProcess:
    """Cannot be copied or pickled; `expect_here` refuses what was made before a fork.

    `ELSEWHERE` is what another process does instead.
    """

    ELSEWHERE = "open one there"
    _made_by: int

    def __new__(cls, *_: Any, **__: Any) -> Self:
        made = super().__new__(cls)
        made._made_by = os.getpid()
        return made

    @property
    def is_here(self) -> bool:
        """False in a process that was forked since."""
        return os.getpid() == self._made_by

    def expect_here(self) -> None:
        """Raises UsageError in a process that was forked since."""
        if not self.is_here:
            raise UsageError("stream: opened in another process; open it here")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            f"{type(self).__name__}: cannot be copied or sent to another process; {self.ELSEWHERE}"
        )
