# SPDX-License-Identifier: Apache-2.0
"""Live captions and comments, written while things are said and happen, on your own machine.

listen() -> events from the microphone; load() -> Model; Model.stream() -> push(), finish().
Model.open_stream() -> the same on a thread of its own, for `with` and `async with`.
watch() -> events from a camera; load_watcher() -> a model, likewise.
read() -> what a language model says of what is heard, seen or written; Task: what it is asked.
"""

from __future__ import annotations

from edgestream.system import reporting

TYPE_CHECKING = False  # as typing has it, which takes a while to come
if TYPE_CHECKING:
    from edgestream.errors import EdgestreamError
    from edgestream.events import (
        Alert,
        Answer,
        Comment,
        Draft,
        Final,
        Gap,
        Lag,
        Note,
        Notice,
        Thought,
        ToolCall,
        Translation,
        TranslationDraft,
        Word,
    )  # fmt: skip
    from edgestream.reader.model import load_reader
    from edgestream.reader.read import read
    from edgestream.reader.task import EveryLine, EveryMs, EveryWord, Task
    from edgestream.reader.translate import Translate
    from edgestream.speech.listen import listen, load
    from edgestream.vision.watch import load_watcher, watch

__all__ = [
    "Alert", "Answer", "Comment", "Draft", "EdgestreamError", "EveryLine", "EveryMs", "EveryWord",
    "Final", "Gap", "Lag", "Note", "Notice", "Task", "Thought", "ToolCall", "Translate",
    "Translation", "TranslationDraft", "Word", "listen", "load", "load_reader", "load_watcher",
    "read", "watch",
]  # fmt: skip
__version__ = "0.1.0"
reporting.switch_off()  # here, where every import of a part of edgestream passes first
MODULES = {
    "edgestream.errors": ("EdgestreamError",),
    "edgestream.events": (
        "Alert",
        "Answer",
        "Comment",
        "Draft",
        "Final",
        "Gap",
        "Lag",
        "Note",
        "Notice",
        "Thought",
        "ToolCall",
        "Translation",
        "TranslationDraft",
        "Word",
    ),
    "edgestream.reader.model": ("load_reader",),
    "edgestream.reader.read": ("read",),
    "edgestream.reader.task": ("EveryLine", "EveryMs", "EveryWord", "Task"),
    "edgestream.reader.translate": ("Translate",),
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
