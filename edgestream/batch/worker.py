# SPDX-License-Identifier: Apache-2.0
"""A process that captions one recording after the other with a model of its own."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from edgestream.batch.caption_file import Captioned, caption_file
from edgestream.batch.outputs import Job
from edgestream.errors import EdgestreamError, OperationError
from edgestream.outlets.formats import Format
from edgestream.speech.listen import check_options, load
from edgestream.system.process import is_out_of_memory

if TYPE_CHECKING:
    from edgestream.speech.concatenated.model import Model
    from edgestream.speech.reencoded.model import ReencodedModel

REPORT_INTERVAL_S = 0.2
NO_MEMORY = "not enough memory; fewer --jobs take less"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How recordings are captioned: `options` as listen() takes them."""

    model: str
    form: Format
    drafts: bool = False
    decoder_device: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The model or an option cannot be used, for no recording."""

    error: EdgestreamError


@dataclass(frozen=True, slots=True)
class Heard:
    """So much of the recording was heard."""

    heard_ms: float


@dataclass(frozen=True, slots=True)
class Said:
    """Something is odd about the recording."""

    line: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The recording has no captions, and why."""

    reason: str


Report = Heard | Said | Failed | Captioned


def work(pipe: Connection, recipe: Recipe) -> None:
    """Takes Jobs from the pipe until it is closed and gives Reports; the process of the pipe's
    other end says when all ends, and Ctrl-C is for that one."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # nobody is there any more
        _work(pipe, recipe)


def _work(pipe: Connection, recipe: Recipe) -> None:
    try:
        model = load(recipe.model, decoder_device=recipe.decoder_device)
        check_options(model, **recipe.options)
    except Exception as error:
        if is_out_of_memory(error):
            error = OperationError(NO_MEMORY)
        if not isinstance(error, EdgestreamError):
            error = OperationError(f"{recipe.model}: {type(error).__name__}: {error}")
        pipe.send(Unusable(error))
        return
    pipe.send(Ready())
    while True:
        job: Job = pipe.recv()
        pipe.send(_caption(job, model, recipe, pipe))


def _caption(
    job: Job, model: Model | ReencodedModel, recipe: Recipe, pipe: Connection
) -> Captioned | Failed:
    told_s = 0.0

    def progress(heard_ms: float) -> None:
        nonlocal told_s
        if time.monotonic() - told_s >= REPORT_INTERVAL_S:
            told_s = time.monotonic()
            pipe.send(Heard(heard_ms))

    try:
        return caption_file(
            job.source, job.output, model=model, format=recipe.form, drafts=recipe.drafts,
            progress=progress, say=lambda line: pipe.send(Said(line)), **recipe.options,
        )  # fmt: skip
    except (BrokenPipeError, ConnectionResetError):
        raise
    except EdgestreamError as error:
        return Failed(NO_MEMORY if is_out_of_memory(error) else str(error))
    except Exception as error:  # one recording never ends the others
        return Failed(NO_MEMORY if is_out_of_memory(error) else f"{type(error).__name__}: {error}")
