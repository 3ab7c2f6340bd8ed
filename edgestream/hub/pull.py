# SPDX-License-Identifier: Apache-2.0
"""A model from a hub: looked at, weighed, fetched in pieces, verified, put in place whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from edgestream.errors import HubError, ModelError, UsageError
from edgestream.hub import repository as hub
from edgestream.hub.fit import Fit, fit, free_disk_bytes, gguf_decoder, mb, probe
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.gguf_header import read_shape
from edgestream.library.manifest.concatenated import (
    LOCK,
    MANIFEST,
    Manifest,
)
from edgestream.library.manifest.read import read_manifest
from edgestream.library.toml_file import TOML_LIMIT_BYTES

Tell = Callable[[str], None]
Progress = Callable[[int, int], None]  # bytes that are here, bytes in all


@dataclass(frozen=True, slots=True)
class Offer:
    """A model as a hub offers it at one commit, before its weights are fetched."""

    name: str  # as given by the user
    repository: hub.Repository
    manifest: Manifest
    manifest_file: Path
    paths: dict[str, str]  # each file of the model: its path in the repository

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file of the model."""
        return {file: self.repository.sizes[path] for file, path in self.paths.items()}

    def sha256(self, file: str) -> str | None:
        """That the manifest says, else the hub; None of a small file that only the hub names."""
        known = self.manifest.files.get(file) or self.repository.sha256.get(self.paths[file])
        return known.lower() if known else None

    def fit(self) -> Fit:
        """Compares it with this machine; reads the start of a GGUF decoder, takes 2 s."""
        shape = None
        if (file := gguf_decoder(self.manifest)) is not None:
            path = self.paths[file]
            shape = read_shape(
                lambda n_bytes: hub.read_start(self.repository, path, n_bytes),
                f"{self.name}: {file}",
            )
        return fit(self.manifest, self.sizes, shape, probe())


def pull(
    name: str,
    *,
    revision: str | None = None,
    force: bool = False,
    tell: Tell,
    progress: Progress,
) -> Path:
    """Fetches a model, or goes on fetching it, and returns its folder.

    Args:
        name: `owner/name` of a repository that holds a model.toml, or a name of the catalogue.
        revision: branch, tag or commit; the default branch, or the catalogue's, if None.
        force: also fetch what does not fit this machine.
        tell: takes lines for the user.
        progress: takes the bytes that are here and the bytes in all.

    Raises:
        ModelError: there is no such model, it is damaged or cannot be loaded.
        UsageError: it does not fit this machine.
        HubError: the hub or the disk failed; what was fetched so far is kept.
    """
    with alone(name, tell):
        repository, folder = ask(name, revision), folders.folder_of(name)
        if is_whole(folder, repository.revision):
            tell(f"{name}: already here, at revision {repository.revision[:12]}")
            return folder
        found = offer(name, repository, incoming(name, repository))
        here = sum(part.stat().st_size for part in found.manifest_file.parent.iterdir())
        missing = max(0, sum(found.sizes.values()) - here)
        weigh(name, missing, missing, found.fit(), force=force, tell=tell)
        files = _fetch_all(found, progress)
        if not found.manifest.files:
            folders.write_checksums(found.manifest_file, files)
        return put_in_place(name, repository, found.manifest_file.parent, files)


def ask(name: str, revision: str | None = None) -> hub.Repository:
    """What the hub says is in the repository of this name, or of this name of the catalogue."""
    folders.folder_of(name)  # refuses what is no name
    if entry := folders.catalogue().get(name):
        source = read_source(entry)
        if source.converted and source.checkpoint:
            return hub.look(source.checkpoint.repository, revision or source.checkpoint.revision)
        if revision is not None and source.is_pinned:
            raise UsageError(f"{name}: the catalogue names its revision; pull owner/name instead")
        return hub.look(source.repository, revision or source.revision)
    if "/" not in name:
        known = ", ".join(folders.catalogue()) or "so far none"
        raise UsageError(f"{name}: give owner/name, or a name of the catalogue ({known})")
    return hub.look(name, revision)


def offer(name: str, repository: hub.Repository, folder: Path) -> Offer:
    """Puts the manifest into `folder`: the catalogue's, else the repository's own."""
    file = folder / MANIFEST
    file.unlink(missing_ok=True)
    if entry := folders.catalogue().get(name):
        shutil.copyfile(entry / MANIFEST, file)
        files = read_source(entry).files or {}
        paths = {name_here: at.path for name_here, at in files.items()}
        return _checked(name, repository, file, paths)
    if not 0 < repository.sizes.get(MANIFEST, 0) <= TOML_LIMIT_BYTES:
        raise ModelError(f"{name}: holds no {MANIFEST}, so it is no model that edgestream can load")
    hub.fetch(repository, MANIFEST, file, lambda _: None)
    return _checked(name, repository, file, None)


@contextmanager
def alone(name: str, tell: Tell) -> Iterator[None]:
    """Keeps other processes away from one model; the system ends it when this process dies."""
    folder = folders.folder_of(name)
    with _disk(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell(f"{name}: another process is at work on it; waiting")
            lock.acquire()
    try:
        with _disk(folder):
            yield
    finally:
        lock.release()


def remove(name: str, tell: Tell) -> None:
    """Removes a pulled model, or what an unfinished pull of it left."""
    if name in folders.shipped():
        raise UsageError(f"{name}: ships with edgestream, it stays")
    folder = folders.folder_of(name)
    with alone(name, tell):
        there = [at for at in (folder, _incoming_root(name)) if at.exists()]
        if not there:
            raise ModelError(f"{name}: is not on this machine")
        for at in there:
            shutil.rmtree(at)


def _checked(
    name: str, repository: hub.Repository, file: Path, paths: dict[str, str] | None
) -> Offer:
    manifest = read_manifest(file, Manifest)
    if paths is None and not manifest.files:
        raise ModelError(f"{name}: its {MANIFEST} names no files")
    paths = paths or {name_here: name_here for name_here in manifest.files}
    for name_here, path in paths.items():
        if path not in repository.sizes:
            raise ModelError(f"{name}: needs {name_here}, the repository has no {path}")
        sha256 = manifest.files.get(name_here, "").lower()
        if sha256 and repository.sha256.get(path, sha256).lower() != sha256:
            raise ModelError(f"{name}: the hub's checksum of {path} is not that of {MANIFEST}")
    return Offer(name, repository, manifest, file, paths)


def weigh(
    name: str, to_fetch: int, disk_bytes: int, weighed: Fit, *, force: bool, tell: Tell
) -> None:
    """Says what the model needs; refuses what does not fit this machine unless `force`.

    Raises:
        UsageError: memory, speed or the disk do not suffice.
    """
    room, problem = free_disk_bytes(folders.home()), weighed.problem
    tell(f"{name}: {mb(to_fetch)} to fetch; {weighed}")
    if disk_bytes > room:
        problem = f"disk: {mb(disk_bytes)} needed, {mb(room)} free at {folders.home()}"
    if problem and not force:
        raise UsageError(f"{name}: does not fit this machine ({problem}); --force pulls it")
    tell(f"fits this machine: {'no' if problem else 'yes'}")


def _fetch_all(found: Offer, progress: Progress) -> dict[str, str]:
    """Fetches what is missing; the sha256 of each file that is there then."""
    total, done = sum(found.sizes.values()), 0

    def count(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(done, total)

    return {name: _fetch_one(found, name, count) for name in found.paths}


def _fetch_one(found: Offer, name: str, count: Callable[[int], None]) -> str:
    gathered, expected = found.manifest_file.parent, found.sha256(name)
    file = gathered / name
    if expected and file.exists() and folders.sha256_of(file) == expected:
        count(file.stat().st_size)
        return expected
    part = gathered / f".{name}.part"  # no name of a manifest begins with a dot
    hub.fetch(found.repository, found.paths[name], part, count)
    hub.check(found.repository, found.paths[name], part)
    sha256 = folders.sha256_of(part)
    if expected and sha256 != expected:
        part.unlink()
        raise ModelError(f"{found.name}: {name} came with a wrong checksum and was thrown away")
    part.replace(file)
    return sha256


def put_in_place(
    name: str, repository: hub.Repository, gathered: Path, files: dict[str, str]
) -> Path:
    """Locks what was gathered and makes its folder that of the model; `files` beside the manifest
    have these sha256."""
    files = {MANIFEST: folders.sha256_of(gathered / MANIFEST), **files}
    folders.write_lock(gathered, folders.Lock(repository.name, repository.revision, files))
    folder, root = folders.folder_of(name), _incoming_root(name)
    if folder.exists():
        shutil.rmtree(root / "old", ignore_errors=True)
        folder.replace(root / "old")
    gathered.replace(folder)
    shutil.rmtree(root)
    return folder


def is_whole(folder: Path, revision: str) -> bool:
    """Whether this revision is in place and undamaged."""
    try:
        folders.read_verified(folder, Manifest)
        return (folder / LOCK).exists() and folders.read_lock(folder).revision == revision
    except ModelError:
        return False


def incoming(name: str, repository: hub.Repository) -> Path:
    """Where a revision gathers; what was begun of other revisions goes."""
    root = _incoming_root(name)
    for other in root.iterdir() if root.exists() else []:
        if other.name != repository.revision:
            shutil.rmtree(other)
    (root / repository.revision).mkdir(parents=True, exist_ok=True)
    return root / repository.revision


def _incoming_root(name: str) -> Path:
    folder = folders.folder_of(name)
    return folder.parent.parent / "incoming" / folder.name


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        said = error.strerror or str(error)
        raise HubError(f"{where}: {said}; {folders.HOME} names another place") from None
