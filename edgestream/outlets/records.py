# SPDX-License-Identifier: Apache-2.0
"""An event as one JSON object: the fields of its class, and a `type`."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

from edgestream.captions.shown_text import filtered
from edgestream.events import Comment, Event, Final

DIGITS = {"score": 3}  # behind the point
TIME_DIGITS = 1  # finer than a tenth of a millisecond is noise


def json_line(event: Event) -> str:
    """The event on one line, without a newline.

    Of a Comment the fields of `happening` stand beside its own: `label` as `class`, and what is not
    known of it not at all.
    """
    return json.dumps(record(event), ensure_ascii=False, allow_nan=False)


def record(event: Event) -> dict[str, Any]:
    """The same as a dict, text as it may be shown."""
    shown: dict[str, Any] = _shown(_fields(event))
    return shown


def _fields(event: Event) -> dict[str, Any]:
    fields = {"type": _type(event), **dataclasses.asdict(event)}
    if isinstance(event, Comment):
        happening, time = fields.pop("happening") or {}, fields.pop("time")
        fields |= _known({"time": time, **happening})
    return fields


def _type(event: Event) -> str:
    """`final` of comments too; else the class's name, as `tool-call`."""
    if isinstance(event, Final):
        return "final"
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    names = {"label": "class"}  # which is no name of a field in Python
    return {names.get(key, key): value for key, value in fields.items() if value is not None}


def _shown(value: Any, digits: int = TIME_DIGITS) -> Any:
    """Numbers with the digits that mean something; text as it may be shown."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, str):
        return filtered(value)
    if isinstance(value, dict):
        return {key: _shown(item, DIGITS.get(key, digits)) for key, item in value.items()}
    return [_shown(item, digits) for item in value] if isinstance(value, (list, tuple)) else value
