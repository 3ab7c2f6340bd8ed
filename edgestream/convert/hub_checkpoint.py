# SPDX-License-Identifier: Apache-2.0
"""A checkpoint from a hub, fetched into edgestream's home; an interrupted fetch goes on."""

from __future__ import annotations

from pathlib import Path

from edgestream import hub, library
from edgestream.convert.checkpoint import CARD, CONFIG, INDEX, LICENSE, SOUND, WEIGHTS, Checkpoint
from edgestream.convert.registry import Progress
from edgestream.convert.tokenizer import TOKENIZER_FILES
from edgestream.errors import HubError, ModelError
from edgestream.speech_config import GENERATION

SMALL_FILES = (CONFIG, GENERATION, SOUND, INDEX, *TOKENIZER_FILES, CARD, LICENSE)


def fetch_checkpoint(name: str, progress: Progress) -> tuple[Path, str]:
    """The folder of a checkpoint `owner/name` or of a name of the catalogue, and its origin.

    Of the hub's listing only known names are fetched, and the shards that the index names.

    Raises:
        ModelError: there is no such repository, or it holds no checkpoint.
        HubError: the hub or the disk failed; what was fetched so far is kept.
    """
    if entry := library.catalogue().get(name):
        source = library.read_source(entry)
        repository = hub.look(source.repository, source.revision)
    else:
        repository = hub.look(name, None)
    at = repository.name.replace("/", "--")
    folder = library.home() / "checkpoints" / at / repository.revision
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in SMALL_FILES:
            if file in repository.sizes:
                _fetch(repository, file, folder, progress)
        for file in _weights(repository, folder):
            _fetch(repository, file, folder, progress)
    except OSError as error:
        raise HubError(f"{folder}: {error.strerror}; {library.HOME} names another place") from None
    return folder, f"{repository.name} at {repository.revision}"


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
    file, done = folder / name, 0
    if file.exists():
        return
    part = folder / f".{name}.part"

    def count(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(f"fetching {name}", done, repository.sizes[name])

    hub.fetch(repository, name, part, count)
    expected = repository.sha256.get(name)
    if expected and library.sha256_of(part) != expected.lower():
        part.unlink()
        raise ModelError(f"{repository.name}: {name} came with a wrong checksum")
    part.replace(file)
