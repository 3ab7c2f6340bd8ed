# SPDX-License-Identifier: Apache-2.0
"""The models that a server offers: each loaded once, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from edgestream.errors import UsageError
from edgestream.library.manifest.manifest import MANIFEST, Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.serve.refusal import RefusalError
from edgestream.speech.listen import known_options, load
from edgestream.speech.stream import Stream

ENGLISH = ["en"]


class Models:
    """By name; the first is the one that is used when a client names none."""

    def __init__(self, names: Sequence[str]) -> None:
        """Loads them.

        Raises ModelError when one is missing or damaged. UsageError: clients could not tell two of
        them apart, as a/whisper and b/whisper.
        """
        self._models: dict[str, Any] = {}
        for name in names:
            model = load(name)
            known_as = model.folder.name
            if known_as in self._models:
                raise UsageError(
                    f"{name}: a model {known_as} was given already; give one, or rename its folder"
                )
            self._models[known_as] = model
        self.default: str = self.names[0]

    def __getitem__(self, name: str) -> Any:
        """The model itself."""
        return self._models[name]

    @property
    def names(self) -> list[str]:
        """Of all, the default first."""
        return list(self._models)

    def opener(
        self, name: str | None, rate_hz: int, options: dict[str, Any]
    ) -> tuple[str, Callable[[Callable[[], float] | None], Stream]]:
        """The name of the model, and what opens a stream of it.

        `options` as of `Model.stream`; those that are None count as not given. What opens a stream
        is given `behind_ms` (see `Model.stream`), None for a recording.

        Raises RefusalError: there is no such model. UsageError: it does not know an option.
        """
        name = name or self.default
        if name not in self._models:
            known = ", ".join(self.names)
            raise RefusalError(
                "unknown-model", f"model {name!r:.80} is not here; there are {known}"
            )
        model = self._models[name]
        given = known_options(model, **options)

        def opened(behind_ms: Callable[[], float] | None) -> Stream:
            paced = {"behind_ms": behind_ms} if "behind_ms" in model.STREAM_OPTIONS else {}
            stream: Stream = model.stream(rate_hz=rate_hz, **given, **paced)
            return stream

        return name, opened

    def described(self) -> list[dict[str, Any]]:
        """What a page shows to choose from."""
        return [
            {
                "name": name,
                "languages": self.languages(name),
                "tasks": sorted(getattr(_config(model), "tasks", None) or ["transcribe"]),
                "default": name == self.default,
            }
            for name, model in self._models.items()
        ]

    def languages(self, name: str) -> list[str]:
        """That a model hears, as en or de."""
        model = self._models[name]
        if known := getattr(_config(model), "languages", None):
            return sorted(known)
        path = model.folder / MANIFEST
        stated = read_manifest(path, Manifest).languages if path.exists() else []
        return list(stated) or ENGLISH

    def check_task(self, name: str, task: str) -> None:
        """Raises UsageError if the model does not know the task."""
        known = getattr(_config(self._models[name]), "tasks", None) or ["transcribe"]
        if task not in known:
            raise UsageError(f"{name}: does not {task}; it can {' or '.join(sorted(known))}")

    def takes(self, name: str, option: str) -> bool:
        """Whether a stream of the model can be told this; of `language` and `prompt` too."""
        model = self._models[name]
        if option == "language":
            return bool(getattr(_config(model), "languages", None))
        if option == "prompt":
            return getattr(_config(model), "previous", None) is not None
        return option in model.STREAM_OPTIONS


def _config(model: Any) -> Any:
    return getattr(model, "config", None)
