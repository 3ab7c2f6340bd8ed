# SPDX-License-Identifier: Apache-2.0
"""What the models of all families that hear have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgestream.events import Draft, Final, Gap, Lag
from edgestream.system.one_process import OneProcess

if TYPE_CHECKING:
    from edgestream.speech.open_stream import OpenStream
    from edgestream.speech.stream import Stream


class SpeechModel(OneProcess, ABC):
    """Weights of a model that hears; immutable, may be shared between threads."""

    ELSEWHERE = "send model.folder, and load() it there"
    STREAM_OPTIONS: tuple[str, ...]
    folder: Path

    @abstractmethod
    def stream(self, *args: Any, **options: Any) -> Stream:
        """A new stream over these weights."""

    def open_stream(
        self,
        *,
        on_final: Callable[[Final], object] | None = None,
        on_draft: Callable[[Draft], object] | None = None,
        on_gap: Callable[[Gap], object] | None = None,
        on_lag: Callable[[Lag], object] | None = None,
        on_error: Callable[[BaseException], object] | None = None,
        keep_up: bool = False,
        **options: Any,
    ) -> OpenStream:
        """A stream that computes on a thread of its own, for `with` or `async with`.

        Args:
            on_final, on_draft, on_gap, on_lag: called with each such event, on that thread and one
                at a time; without any of them, iterate over the stream.
            on_error: called with what ended the stream; without it that is raised by the next push,
                step of the iteration, or at the end of the block.
            keep_up: the sound is live: a slow machine reads all that waits before it decodes, with
                a Lag, if the model's family can. What is written then depends on its speed.
            options: as of `stream`.

        Raises:
            UsageError: as `stream` does, and for a callback that is no plain function.
        """
        from edgestream.speech.callbacks import Callbacks  # nothing that a command waits for
        from edgestream.speech.open_stream import OpenStream

        callbacks = Callbacks(on_final, on_draft, on_gap, on_lag, on_error)
        if keep_up and "behind_ms" in self.STREAM_OPTIONS:
            options = {"behind_ms": lambda: opened.waiting_ms, **options}
        opened: OpenStream = OpenStream(self.stream(**options), callbacks)
        return opened
