# SPDX-License-Identifier: Apache-2.0
"""A checkpoint from a hub, fetched into edgestream's home; an interrupted fetch goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgestream.convert.checkpoint import (
    CARD,
    CONFIG,
    INDEX,
    LICENSE,
    PREPROCESSOR,
    PROCESSOR,
    WEIGHTS,
    Checkpoint,
)
from edgestream.convert.tokenizer.find import TOKENIZER_FILES
from edgestream.errors import ModelError
from edgestream.hub import repository as hub
from edgestream.hub.pull import alone
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.progress import Progress, counter
from edgestream.speech.reencoded.config import GENERATION

SMALL_FILES = (CONFIG, GENERATION, PREPROCESSOR, PROCESSOR, INDEX, *TOKENIZER_FILES, CARD, LICENSE)


def look_up(name: str) -> hub.Repository:
    """The repository of a checkpoint: `owner/name`, or that of a name of the catalogue."""
    if entry := folders.catalogue().get(name):
        at = read_source(entry).checkpoint
        if at is None:
            raise ModelError(f"{name}: the catalogue has no checkpoint of it; pull it as it is")
        return hub.look(at.repository, at.revision)
    return hub.look(name, None)


def fetch_checkpoint(
    repository: hub.Repository, progress: Progress, weigh: Callable[[int, int], None] | None = None
) -> tuple[Path, str]:
    """The folder of a checkpoint, and its origin.

    Of the hub's listing only known names are fetched, and the shards that the index names. `weigh`
    takes the bytes of all weights and of those that are missing, before they are fetched.

    Raises:
        ModelError: the repository holds no checkpoint.
        HubError: the hub or the disk failed; what was fetched so far is kept.
    """
    at = repository.name.replace("/", "--")
    folder = folders.home() / "checkpoints" / at / repository.revision
    with alone(folder, lambda: None):  # others wait, then find it here
        folder.mkdir(parents=True, exist_ok=True)
        _fetch_all(repository, folder, progress, weigh)
    return folder, f"{repository.name} at {repository.revision}"


def _fetch_all(
    repository: hub.Repository,
    folder: Path,
    progress: Progress,
    weigh: Callable[[int, int], None] | None,
) -> None:
    for file in SMALL_FILES:
        if file in repository.sizes:
            _fetch(repository, file, folder, progress)
    weights = {file: repository.sizes[file] for file in _weights(repository, folder)}
    if weigh:
        here = sum(_here(folder, file) for file in weights)
        weigh(sum(weights.values()), max(0, sum(weights.values()) - here))
    for file in weights:
        _fetch(repository, file, folder, progress)


def _here(folder: Path, file: str) -> int:
    """Bytes of a file, or of its beginning."""
    places = (folder / file, hub.part_of(folder / file))
    return next((place.stat().st_size for place in places if place.exists()), 0)


def _weights(repository: hub.Repository, folder: Path) -> list[str]:
    if WEIGHTS in repository.sizes:
        return [WEIGHTS]
    if CONFIG not in repository.sizes or INDEX not in repository.sizes:
        raise ModelError(
            f"{repository.name}: holds no checkpoint with {CONFIG} and {WEIGHTS} or {INDEX}"
        )
    shards = Checkpoint(folder).shards()
    missing = [name for name in shards if name not in repository.sizes]
    if missing:
        raise ModelError(f"{repository.name}: {INDEX} names {missing[0]}, which is not there")
    return shards


def _fetch(repository: hub.Repository, name: str, folder: Path, progress: Progress) -> None:
    if not (folder / name).exists():
        count = counter(progress, f"fetching {name}", repository.sizes[name])
        hub.fetch_whole(repository, name, folder / name, count)
