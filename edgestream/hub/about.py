# SPDX-License-Identifier: Apache-2.0
"""What can be told of a model: by its folder, by the hub, or by the catalogue alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgestream.errors import HubError, ModelError, UsageError
from edgestream.hub import repository as hub
from edgestream.hub.fit import (
    Fit,
    fit,
    fit_converted,
    free_memory_bytes,
    gguf_decoder,
    mb,
    needs,
    probe,
)
from edgestream.hub.pull import ask, offer
from edgestream.library import folders
from edgestream.library.catalogue import CheckpointSource, Source, converted, read_source
from edgestream.library.gguf_header import DecoderShape, read_shape
from edgestream.library.manifest.manifest import LOCK, MANIFEST, SOURCE, Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.library.progress import Tell


@dataclass(frozen=True, slots=True)
class About:
    """A model: what it is, where it comes from (lines for the user by name), whether it fits."""

    manifest: Manifest
    origin: dict[str, str]
    fit: Fit | None  # None: not known without the hub


def about(name: str, *, offline: bool, tell: Tell) -> About:
    """What a model is, and whether it fits this machine; asks the hub if it is not here.

    Raises:
        ModelError: there is no such model, or it is damaged.
        UsageError: it is not here, and the hub is not to be asked.
        HubError: the hub does not answer, and the catalogue does not know the model.
    """
    in_catalogue = name in folders.catalogue().keys() - folders.pulled()
    if not in_catalogue and (folder := _here(name)):
        return _of_folder(folder)
    if offline or hub.offline():
        if in_catalogue:
            return _of_catalogue(name)
        raise UsageError(f"{name}: is not on this machine, and the hub is not asked offline")
    try:
        return _of_hub(name)
    except HubError as error:
        if not in_catalogue:
            raise
        tell(f"edgestream: {error}; this is what the catalogue knows")
        return _of_catalogue(name)


def weighed(folder: Path) -> tuple[Manifest, int, str]:
    """The manifest, bytes of all files, and whether they fit this machine: yes, no, or see info.

    Reads no weights, so nothing is verified.

    Raises:
        ModelError: a file is missing or damaged.
    """
    manifest = read_manifest(folder / MANIFEST, Manifest)
    if (folder / SOURCE).exists():
        n_bytes = needed = sum(read_source(folder).sizes.values())
        fits = "see info"
    else:
        sizes = _sizes(folder, manifest)
        n_bytes, fits = sum(sizes.values()), "yes"
        needed = needs(manifest, sizes, _shape(folder, manifest)).total_bytes
    return manifest, n_bytes, fits if needed < free_memory_bytes() else "no"


def _here(name: str) -> Path | None:
    """The folder of a model on this machine; None if only a hub may have it."""
    try:
        return folders.find(name)
    except ModelError:
        if folders.REPOSITORY.fullmatch(name):
            return None
        raise


def _of_folder(folder: Path) -> About:
    manifest = folders.read_verified(folder, Manifest)
    sizes = _sizes(folder, manifest)
    origin = {"folder": str(folder), "size": mb(sum(sizes.values()))}
    if (folder / LOCK).exists():
        lock = folders.read_lock(folder)
        origin |= {"repository": lock.repository, "revision": lock.revision}
    return About(manifest, origin, fit(manifest, sizes, _shape(folder, manifest), probe()))


def _of_catalogue(name: str) -> About:
    source = read_source(folders.catalogue()[name])
    size = f"about {mb(sum(source.sizes.values()))}"
    at: Source | CheckpointSource = source
    if source.converted and source.checkpoint:
        size += " once the checkpoint is converted"
        at = source.checkpoint
    origin = {
        "size": size, "repository": at.repository, "revision": at.revision,
        "state": f"not on this machine; edgestream models pull {name}",
    }  # fmt: skip
    return About(_entry(name), origin, None)


def _of_hub(name: str) -> About:
    repository = ask(name)
    origin = {"repository": repository.name, "revision": repository.revision}
    if made := converted(name):
        size = f"{mb(sum(made.files.values()))} once the checkpoint is converted"
        return About(_entry(name), {"size": size, **origin}, fit_converted(made, probe()))
    with TemporaryDirectory() as folder:
        found = offer(name, repository, Path(folder))
        size = f"{mb(sum(found.sizes.values()))} to fetch"
        return About(found.manifest, {"size": size, **origin}, found.fit())


def _entry(name: str) -> Manifest:
    return read_manifest(folders.catalogue()[name] / MANIFEST, Manifest)


def _sizes(folder: Path, manifest: Manifest) -> dict[str, int]:
    try:
        return {name: (folder / name).stat().st_size for name in manifest.files}
    except OSError as error:
        raise ModelError(f"{error.filename}: {error.strerror}; pull it again") from None


def _shape(folder: Path, manifest: Manifest) -> DecoderShape | None:
    file = gguf_decoder(manifest)
    if file is None:
        return None

    def read_start(n_bytes: int) -> bytes:
        with (folder / file).open("rb") as opened:
            return opened.read(n_bytes)

    return read_shape(read_start, str(folder / file))
