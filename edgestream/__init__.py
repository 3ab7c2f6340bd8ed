# SPDX-License-Identifier: Apache-2.0
"""Live captions and comments, written while things are said and happen, on your own machine.

listen() -> events from the microphone; load() -> Model; Model.stream() -> push(), finish().
Model.open_stream() -> the same on a thread of its own, for `with` and `async with`.
watch() -> events from a camera; load_watcher() -> a model, likewise.
"""

from __future__ import annotations

from edgestream.system import reporting

TYPE_CHECKING = False  # as typing has it, which takes a while to come
if TYPE_CHECKING:
    from edgestream.errors import EdgestreamError
    from edgestream.events import Answer, Comment, Draft, Final, Gap, Lag, Notice, Word
    from edgestream.speech.listen import listen, load
    from edgestream.vision.watch import load_watcher, watch

__all__ = [
    "Answer", "Comment", "Draft", "EdgestreamError", "Final", "Gap", "Lag", "Notice", "Word",
    "listen", "load", "load_watcher", "watch",
]  # fmt: skip
__version__ = "0.1.0"
reporting.switch_off()  # here, where every import of a part of edgestream passes first
MODULES = {
    "edgestream.errors": ("EdgestreamError",),
    "edgestream.events": ("Answer", "Comment", "Draft", "Final", "Gap", "Lag", "Notice", "Word"),
    "edgestream.speech.listen": ("listen", "load"),
    "edgestream.vision.watch": ("load_watcher", "watch"),
}


def __getattr__(name: str) -> object:
    # All is loaded when it is first used: `--version` does not wait, and Ctrl-C works at once.
    import importlib

    for module, names in MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'edgestream' has no attribute {name!r}")
