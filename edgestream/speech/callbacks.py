# SPDX-License-Identifier: Apache-2.0
"""What a program wants to be told of an open stream, as functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields

from edgestream.errors import UsageError
from edgestream.events import Draft, Event, Final, Gap, Lag

Error = BaseException


@dataclass(frozen=True, slots=True)
class Callbacks:
    """One function for each kind of event, or None; `on_error` gets what ended the stream."""

    on_final: Callable[[Final], object] | None = None
    on_draft: Callable[[Draft], object] | None = None
    on_gap: Callable[[Gap], object] | None = None
    on_lag: Callable[[Lag], object] | None = None
    on_error: Callable[[Error], object] | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be called, or would have to be awaited."""
        for field in fields(self):
            given = getattr(self, field.name)
            if given is not None and not callable(given):
                raise UsageError(f"{field.name}: {given!r:.40} cannot be called; give a function")
            if inspect.iscoroutinefunction(given):
                raise UsageError(f"{field.name}: is async; give a plain function, or use async for")

    @property
    def any_event(self) -> bool:
        """Whether events go to functions, not to whoever iterates."""
        return any((self.on_final, self.on_draft, self.on_gap, self.on_lag))

    def tell(self, event: Event) -> None:
        """Calls the function for this kind of event, if there is one."""
        kinds = ((Final, self.on_final), (Draft, self.on_draft), (Gap, self.on_gap))
        for kind, callback in (*kinds, (Lag, self.on_lag)):
            if callback is not None and isinstance(event, kind):
                callback(event)  # type: ignore[arg-type]  # it is of this kind
