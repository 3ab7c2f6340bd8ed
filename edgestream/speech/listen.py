# SPDX-License-Identifier: Apache-2.0
"""`listen()`: a source, a model of any family and a session in one call."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgestream.errors import UsageError
from edgestream.library.families import SOUND
from edgestream.library.manifest.manifest import DEFAULT_MODEL
from edgestream.library.open import open_model
from edgestream.policy import Head, Policy
from edgestream.session import Session
from edgestream.sources.block import Source
from edgestream.sources.open_source import open_source
from edgestream.speech.stream import Stream

if TYPE_CHECKING:
    from edgestream.speech.concatenated.model import Model
    from edgestream.speech.reencoded.model import ReencodedModel


def load(
    name: str | os.PathLike[str] = DEFAULT_MODEL, *, decoder_device: str | None = None
) -> Model | ReencodedModel:
    """Loads a model by name (shipped with edgestream, or pulled) or from its folder.

    Args:
        name: of the model, or its folder.
        decoder_device: computes the GGUF decoder: `cpu`, `auto` (the first GPU, if there is one) or
            ggml's name of a device; as model.toml says if None.

    Raises:
        ModelError: there is no such model or device, or its files are damaged or not supported.
        UsageError: a device for a model whose decoder is not GGUF.
    """
    model: Model | ReencodedModel = open_model(name, SOUND, decoder_device)
    return model


def listen(
    source: str | os.PathLike[str] | Source | Callable[[], Source] | None = None,
    *,
    model: str | os.PathLike[str] | Model | ReencodedModel = DEFAULT_MODEL,
    delay: str | None = None,
    delay_ms: float | None = None,
    device: str | int | None = None,
    fast: bool = False,
    confidence: float | None = None,
    policy: Policy | Head | str | os.PathLike[str] | None = None,
    language: str | None = None,
    task: str | None = None,
    prompt: str | None = None,
    times: bool | None = None,
    vad: str | os.PathLike[str] | None = None,
    decoder_device: str | None = None,
) -> Session[Source, Stream]:
    """Captions of a microphone, a file or any other source, as an iterator of events.

    Args:
        source: the microphone if None; the path of an audio file; any Source; or what opens one,
            called once the model is loaded.
        model: name, folder, or a Model that is loaded already.
        delay: how soon a word is written: `low`, `normal` or `sure`, the model's usual if None.
        delay_ms: instead, how long after its end, of a model that has a delay in milliseconds.
        device: microphone by name or index; the system's default if None.
        fast: read a file as fast as possible instead of at its own pace.
        confidence: what the model is less sure of than this is decided a step later.
        policy: decides when a token is written, as for `Model.stream`.
        language: that is spoken; task: transcribe or translate; prompt: text that
            came before; times: whether it thinks of times; vad: a Silero VAD before it, or
            `off`; of a Whisper, as for `ReencodedModel.stream`.
        decoder_device: as for `load()`; not of a Model that is loaded already.

    Returns:
        A Session: iterate over it with `for` or `async for`; `stop()` ends it.

    Raises:
        EdgestreamError: the source or the model cannot be used; the message says the way out.
    """
    if isinstance(model, (str, os.PathLike)):
        model = load(model, decoder_device=decoder_device)
    elif decoder_device is not None:
        raise UsageError("decoder_device: this model is loaded already; give it to load()")
    elif not hasattr(model, "stream"):
        raise UsageError(
            f"model: {type(model).__name__} cannot be used; give a name, a folder or load()'s"
        )
    given = known_options(
        model,
        delay=delay, delay_ms=delay_ms, confidence=confidence, policy=policy, language=language,
        task=task, prompt=prompt, times=times, vad=vad,
    )  # fmt: skip
    opened: Source
    if "behind_ms" in model.STREAM_OPTIONS:
        given["behind_ms"] = lambda: opened.behind_ms
    stream = model.stream(**given)  # before the source: a wrong option opens no microphone
    opened = open_source(source, device=device, fast=fast)
    try:
        return Session(opened, stream.at_rate(opened.rate_hz))
    except BaseException:
        opened.close()
        raise


def check_options(model: Model | ReencodedModel, **options: Any) -> None:
    """Raises UsageError, as listen() does, for what the model's streams cannot be told."""
    model.stream(**known_options(model, **options))


def known_options(model: Model | ReencodedModel, **options: Any) -> dict[str, Any]:
    """The options that were given; refuses what the model's family does not know."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name not in model.STREAM_OPTIONS:
            instead = "give low, normal or sure" if name == "delay_ms" else "leave it out"
            what = name.replace("_ms", " in milliseconds")
            raise UsageError(
                f"{model.folder.name}: {what} is for models of another family; {instead}"
            )
    return given
