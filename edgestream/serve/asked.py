# SPDX-License-Identifier: Apache-2.0
"""What clients of other protocols ask of a model, in our words: they know names of others, and ask
for more than each model can be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edgestream.errors import UsageError
from edgestream.serve.limits import Limits
from edgestream.serve.models import Models

ANY = ("", "auto")  # languages that are none


@dataclass(frozen=True, slots=True)
class Asked:
    """A model of ours, and the options of its stream."""

    model: str
    language: str | None  # that is spoken, as far as it is known
    options: dict[str, Any]


def asked(
    models: Models,
    limits: Limits,
    *,
    model: str | None = None,
    language: str | None = None,
    task: str = "transcribe",
    prompt: str | None = None,
    keywords: Iterable[str] = (),
    delay: str | None = None,
) -> Asked:
    """The model that is named, or the first one that fits; options that it cannot be told are left
    out: a prompt to a model that knows none. Words to expect stand before the prompt, of which the
    end is kept if it is too long.

    Raises UsageError where no model hears the language, or knows the task.
    """
    spoken = plain_language(language)
    names = models.names if model is None else [model]
    name = next((name for name in names if _misfit(models, name, spoken, task) is None), names[0])
    if problem := _misfit(models, name, spoken, task):
        raise UsageError(problem)
    hints = [hint.strip() for hint in (*keywords, prompt or "")]
    wanted = {
        "language": spoken,
        "task": task if task != "transcribe" else None,
        "prompt": ", ".join(filter(None, hints))[-limits.prompt_characters :] or None,
        "delay": delay,
    }
    heard = models.languages(name)
    return Asked(
        model=name,
        language=spoken or (heard[0] if len(heard) == 1 else None),
        options={
            option: value
            for option, value in wanted.items()
            if value is not None and models.takes(name, option)
        },
    )


def plain_language(language: str | None) -> str | None:
    """`de` of `de-AT` and `DE`; None where any language may be spoken."""
    plain = (language or "").strip().lower().replace("_", "-").partition("-")[0]
    return None if plain in ANY else plain


def _misfit(models: Models, name: str, language: str | None, task: str) -> str | None:
    """Why a model is not the right one."""
    try:
        models.check_task(name, task)
    except UsageError as error:
        return f"{error}; start the server with a model that does, as --model whisper-base"
    heard = models.languages(name)
    if language is not None and language not in heard:
        known = ", ".join(heard[:8]) + (", ..." if len(heard) > 8 else "")
        return (
            f"{name}: does not hear the language {language!r:.20}; it hears {known}; start the"
            " server with a model that does (edgestream models list)"
        )
    return None
