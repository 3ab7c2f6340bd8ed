# SPDX-License-Identifier: Apache-2.0
"""What a model that reads along says, as a line of text: `fr> Il est tard.`"""

from __future__ import annotations

from edgestream.captions.shown_text import printable
from edgestream.events import Alert, Event, Note, Thought, ToolCall, Translation

STYLES: dict[type, str] = {
    Translation: "cyan",
    Note: "green",
    Alert: "bold",
    Thought: "dim",
    ToolCall: "magenta",
}


def aside_line(event: Event) -> tuple[str, str] | None:
    """What it is and what it says, without newlines; None of other events and empty texts."""
    found = _parts(event)
    if found is None:
        return None
    kind, text = printable(found[0]), printable(found[1])
    return (kind, text) if text.strip() else None


def _parts(event: Event) -> tuple[str, str] | None:
    if isinstance(event, Translation):
        return event.language, event.text
    if isinstance(event, Note):
        return "note", event.text
    if isinstance(event, Alert):
        same = event.alert == event.line  # a phrase as it was said
        return "alert", event.alert if same else f"{event.alert}: {event.line}"
    if isinstance(event, Thought):
        return "thought", event.text
    if isinstance(event, ToolCall):
        gave = "failed:" if event.failed else "="
        return "tool", f"{event.tool} {event.arguments} {gave} {event.result}"
    return None
