# SPDX-License-Identifier: Apache-2.0
"""A stream's events as messages of realtime clients: what is said between two ends is an item.

`VadTurns`: the server finds the ends. An item is a line, or the lines of a sentence that is longer
than one. `HeldTurns`: the client says where an item ends. `VllmTurns`: the same in vLLM's words.
Times are those of the stream, which begins anew with each commit; `base_ms` was heard before.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any, Protocol

from edgestream.events import Draft, Event, Final
from edgestream.serve.openai.answers import usage
from edgestream.serve.told_text import ToldText

Message = dict[str, Any]
SAID = "conversation.item.input_audio_transcription"
BUFFER = "input_audio_buffer"
MOST_LINES = 3  # of an item of VadTurns; then it ends with a line, wherever that is


class Turns(Protocol):
    """Each gives what the client is told. `base_ms`: heard before the stream that goes on now;
    `ended_ms`: where the last item ended that the server ended by itself."""

    base_ms: float
    ended_ms: float

    def push(self, event: Event) -> Iterator[Message]:
        """After an event of the stream."""

    def commit(self, heard_s: float) -> Iterator[Message]:
        """All was said of the sound that was committed, so much of it."""

    def pause(self) -> Iterator[Message]:
        """The stream has ended, and another may follow."""

    def leave(self, heard_s: float) -> Iterator[Message]:
        """The client will have other turns; so much sound was not committed."""

    def failed(self, error: Message) -> Iterator[Message]:
        """Nothing more will be said of the open item."""

    def clear(self) -> None:
        """What was not committed is dropped."""


class HeldTurns:
    """`turn_detection: null`."""

    base_ms = ended_ms = 0.0

    def __init__(self) -> None:
        self._previous: str | None = None
        self.clear()

    def clear(self) -> None:
        """The next item has a new name."""
        self._item, self._told, self._open = new_id("item"), ToldText(), False

    def push(self, event: Event) -> Iterator[Message]:
        """Words are told as soon as they are final."""
        if delta := self._told.push(event):
            self._open = True
            yield self._said("delta", delta=delta)

    def commit(self, heard_s: float) -> Iterator[Message]:
        """The end of the item."""
        yield self._committed()
        yield self._said("completed", transcript=self._told.text, usage=usage(heard_s))
        self._next()

    def pause(self) -> Iterator[Message]:
        """The item goes on."""
        return iter(())

    def leave(self, heard_s: float) -> Iterator[Message]:
        """What was said is not lost."""
        if heard_s:
            yield from self.commit(heard_s)

    def failed(self, error: Message) -> Iterator[Message]:
        """Of an item that was told of."""
        if self._open:
            yield self._said("failed", error=error)
            self._next()

    def _committed(self) -> Message:
        return {
            "type": f"{BUFFER}.committed",
            "item_id": self._item,
            "previous_item_id": self._previous,
        }

    def _said(self, what: str, **more: Any) -> Message:
        return {"type": f"{SAID}.{what}", "item_id": self._item, "content_index": 0, **more}

    def _next(self) -> None:
        self._previous = self._item
        self.clear()


class VadTurns(HeldTurns):
    """`server_vad` and `semantic_vad`: our gate and our lines decide."""

    def clear(self) -> None:
        """The next item has a new name."""
        super().clear()
        self._start_ms = self._end_ms = 0.0

    def push(self, event: Event) -> Iterator[Message]:
        """Speech that starts, its words, and its end."""
        if not isinstance(event, (Draft, Final)) or not event.text:
            return
        if not self._open:
            self._open, self._start_ms = True, event.start_ms
            yield self._heard("started", audio_start_ms=round(self.base_ms + event.start_ms))
        if isinstance(event, Draft):
            if len(self._told.lines) < MOST_LINES and (delta := self._told.push(event)):
                yield self._said("delta", delta=delta)
            return
        delta = self._told.push(event)
        self._end_ms = event.end_ms
        if not self._told.is_level:  # the sentence goes on, and so does the item
            if delta:
                yield self._said("delta", delta=delta)
            return
        yield from self._ended(delta)

    def commit(self, heard_s: float) -> Iterator[Message]:
        """The client's own end."""
        if self._open:
            yield from self._ended("")
        else:
            yield from super().commit(heard_s)

    def pause(self) -> Iterator[Message]:
        """Whoever spoke has ended."""
        if self._open:
            yield from self._ended("")

    def leave(self, heard_s: float) -> Iterator[Message]:
        """As at a pause."""
        return self.pause()

    def _ended(self, delta: str) -> Iterator[Message]:
        self.ended_ms = self.base_ms + self._end_ms
        yield self._heard("stopped", audio_end_ms=round(self.ended_ms))
        yield self._committed()
        if delta:
            yield self._said("delta", delta=delta)
        length_s = max(0.0, self._end_ms - self._start_ms) / 1000
        yield self._said("completed", transcript=self._told.text, usage=usage(length_s))
        self._next()

    def _heard(self, what: str, **more: Any) -> Message:
        return {"type": f"{BUFFER}.speech_{what}", "item_id": self._item, **more}


class VllmTurns:
    """vLLM's dialect (`vllm/entrypoints/openai/realtime/protocol.py`): one item, without a name."""

    base_ms = ended_ms = 0.0

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begins anew."""
        self._told = ToldText()

    def push(self, event: Event) -> Iterator[Message]:
        """Words are told as soon as they are final."""
        if delta := self._told.push(event):
            yield {"type": "transcription.delta", "delta": delta}

    def commit(self, heard_s: float) -> Iterator[Message]:
        """`final: true`."""
        yield {"type": "transcription.done", "text": self._told.text, "usage": usage(heard_s)}
        self.clear()

    def pause(self) -> Iterator[Message]:
        """The item goes on."""
        return iter(())

    def leave(self, heard_s: float) -> Iterator[Message]:
        """Nobody asked for it."""
        return iter(())

    def failed(self, error: Message) -> Iterator[Message]:
        """It knows no such message; an error follows."""
        return iter(())


def new_id(kind: str) -> str:
    """A name as OpenAI gives it."""
    return f"{kind}_{secrets.token_hex(12)}"
