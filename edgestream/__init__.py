# SPDX-License-Identifier: Apache-2.0
"""Streaming LLMs on small machines: live captions that are written while you speak.

listen() -> events from the microphone; load() -> Model; Model.stream() -> push(), finish().
watch() -> events from a camera; load_watcher() -> a model, likewise.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgestream import reporting
from edgestream.errors import EdgestreamError
from edgestream.events import Answer, Comment, Draft, Final, Gap, Lag, Word

if TYPE_CHECKING:
    from edgestream.listening import listen, load
    from edgestream.watching import load_watcher, watch

__all__ = [
    "Answer", "Comment", "Draft", "EdgestreamError", "Final", "Gap", "Lag", "Word", "listen",
    "load", "load_watcher", "watch",
]  # fmt: skip
__version__ = "0.1.0"
LISTENING, WATCHING = "edgestream.listening", "edgestream.watching"
reporting.switch_off()  # here, where every import of a part of edgestream passes first
MODULES = {"listen": LISTENING, "load": LISTENING, "watch": WATCHING, "load_watcher": WATCHING}


def __getattr__(name: str) -> Any:
    # The native module and numpy load when they are first used, so that `--version` does not wait.
    module = MODULES.get(name)
    if module is not None:
        return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'edgestream' has no attribute {name!r}")
