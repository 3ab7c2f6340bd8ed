# SPDX-License-Identifier: Apache-2.0
"""Streaming LLMs on small machines: live captions that are written while you speak.

listen() -> events from the microphone; load() -> Model; Model.stream() -> push(), finish().
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgestream.errors import EdgestreamError
from edgestream.events import Draft, Final, Gap, Lag, Word

if TYPE_CHECKING:
    from edgestream.listening import listen, load

__all__ = ["Draft", "EdgestreamError", "Final", "Gap", "Lag", "Word", "listen", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # The native module and numpy load when they are first used, so that `--version` does not wait.
    if name == "load":
        from edgestream.listening import load

        return load
    if name == "listen":
        from edgestream.listening import listen

        return listen
    raise AttributeError(f"module 'edgestream' has no attribute {name!r}")
