# SPDX-License-Identifier: Apache-2.0
"""`listen()`: a source, a model and a session in one call."""

from __future__ import annotations

import os
from pathlib import Path

from edgestream.config import DEFAULT_MODEL
from edgestream.model import Model, load
from edgestream.policy import Head, Policy
from edgestream.session import Session
from edgestream.source import FileSource, Source


def listen(
    source: str | os.PathLike[str] | Source | None = None,
    *,
    model: str | os.PathLike[str] | Model = DEFAULT_MODEL,
    delay_ms: float | None = None,
    device: str | int | None = None,
    fast: bool = False,
    confidence: float | None = None,
    policy: Policy | Head | str | os.PathLike[str] | None = None,
) -> Session:
    """Captions of a microphone, a file or any other source, as an iterator of events.

    Args:
        source: the microphone if None; the path of an audio file; or any Source.
        model: name, folder, or a Model that is loaded already.
        delay_ms: how long after a word's end it is written; the model's default if None.
        device: microphone by name or index; the system's default if None.
        fast: read a file as fast as possible instead of at its own pace.
        confidence: what the model is less sure of than this is decided a step later.
        policy: decides when a token is written, as for `Model.stream`.

    Returns:
        A Session: iterate over it with `for` or `async for`; `stop()` ends it.

    Raises:
        EdgestreamError: the source or the model cannot be used; the message says the way out.
    """
    loaded = model if isinstance(model, Model) else load(model)
    opened = open_source(source, device=device, fast=fast)
    try:
        stream = loaded.stream(
            delay_ms=delay_ms, rate_hz=opened.rate_hz, confidence=confidence, policy=policy
        )
    except BaseException:
        opened.close()
        raise
    return Session(opened, stream)


def open_source(
    source: str | os.PathLike[str] | Source | None, *, device: str | int | None, fast: bool
) -> Source:
    """The microphone for None, a file for a path; anything else is a source already."""
    if source is None:
        from edgestream.microphone import MicrophoneSource  # PortAudio only when it is needed

        return MicrophoneSource(device)
    if isinstance(source, (str, os.PathLike)):
        return FileSource(Path(source), pace=not fast)
    return source
