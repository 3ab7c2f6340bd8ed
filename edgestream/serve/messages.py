# SPDX-License-Identifier: Apache-2.0
"""What clients say in JSON, checked: a wrong message is refused in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgestream.errors import EdgestreamError, shown
from edgestream.serve.limits import Limits
from edgestream.serve.refusal import RefusalError
from edgestream.sources.block import whole_rate
from edgestream.sources.sample_formats import SampleFormat

FORMATS = (SampleFormat.s16le.value, SampleFormat.f32le.value)
MOST_CHANNELS = 2
VADS = (None, "off")  # a name could be a path; clients name no files of the server
MOST_LOST_MS = 24 * 3600 * 1000.0


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client wants of its session."""

    rate_hz: int
    format: str
    channels: int
    live: bool
    model: str | None
    options: dict[str, Any]


def parsed(text: str) -> dict[str, Any]:
    """A JSON object with a `type`. Raises RefusalError."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise bad("this is no JSON; send objects such as {'type': 'end'}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise bad("a message must be a JSON object with a type")
    return message


def hello(message: dict[str, Any], limits: Limits) -> Hello:
    """The first message of a new session. Raises RefusalError."""
    if message["type"] != "hello":
        raise bad("begin with {'type': 'hello', 'rate_hz': ...} or with 'resume'")
    rate_hz = field(message, "rate_hz", is_number, "the rate of the samples in Hz")
    try:
        rate_hz = whole_rate(rate_hz, "rate_hz")
    except EdgestreamError as error:
        raise bad(str(error)) from None
    prompt = field(message, "prompt", is_text, "a text", None)
    if prompt is not None and len(prompt) > limits.prompt_characters:
        raise bad(f"prompt: at most {limits.prompt_characters} characters")
    options = {
        name: field(message, name, is_text, "a text", None)
        for name in ("delay", "language", "task")
    }
    return Hello(
        rate_hz=rate_hz,
        format=field(message, "format", FORMATS.__contains__, " or ".join(FORMATS), FORMATS[0]),
        channels=int(field(message, "channels", (1, MOST_CHANNELS).__contains__, "1 or 2", 1)),
        live=field(message, "live", is_truth, "true or false", True),
        model=field(message, "model", is_text, "a name", None),
        options={
            **options,
            "prompt": prompt,
            "vad": field(message, "vad", VADS.__contains__, "'off' or nothing", None),
        },
    )


def field(
    message: dict[str, Any], name: str, fits: Callable[[Any], bool], what: str, *default: Any
) -> Any:
    """One field, or its default, which null stands for too. Raises RefusalError."""
    value = message.get(name)
    if value is None and default:
        return default[0]
    try:
        good = fits(value)
    except (TypeError, OverflowError):  # a list cannot be asked for in a table; 10**400 is no float
        good = False
    if not good:
        raise bad(f"{name}: {shown(repr(value))[:60]} cannot be used; give {what}")
    return value


def is_number(value: Any) -> bool:
    """No truth value, no infinity."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any) -> bool:
    """A whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_text(value: Any) -> bool:
    """A string."""
    return isinstance(value, str)


def is_truth(value: Any) -> bool:
    """True or False."""
    return isinstance(value, bool)


def is_lost_ms(value: Any) -> bool:
    """A length of sound that can be lost."""
    return is_number(value) and 0 < value <= MOST_LOST_MS


def bad(message: str) -> RefusalError:
    """What a client is told of a message that cannot be used."""
    return RefusalError("bad-request", message)
