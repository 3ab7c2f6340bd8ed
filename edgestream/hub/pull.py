# SPDX-License-Identifier: Apache-2.0
"""A model from a hub: looked at, weighed, fetched in pieces, verified, put in place whole."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgestream.errors import HubError, ModelError, UsageError
from edgestream.hub import repository as hub
from edgestream.hub.fit import Fit, fit, free_disk_bytes, gguf_decoder, mb, probe
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.gguf_header import read_shape
from edgestream.library.manifest.manifest import LOCK, MANIFEST, Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.library.progress import Progress, Tell, counter
from edgestream.library.toml_file import TOML_LIMIT_BYTES, write_toml
from edgestream.library.whole_folder import locked, whole_folder

BUSY = "another process is at work on it; waiting"


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

    def sha256(self, file: str) -> str:
        """That the manifest says, else the hub; empty of a small file that only the hub names."""
        known = self.manifest.files.get(file) or self.repository.sha256.get(self.paths[file], "")
        return known.lower()

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


@dataclass(frozen=True, slots=True)
class Job:
    """A pull at work: the model's files gather in `folder`."""

    name: str  # as given by the user
    repository: hub.Repository
    folder: Path
    force: bool
    tell: Tell
    progress: Progress

    def weigh(self, to_fetch: int, disk_bytes: int, weighed: Fit) -> None:
        """Says what the model needs; refuses what does not fit this machine unless by force.

        Raises:
            UsageError: memory, speed or the disk do not suffice.
        """
        room, problem = free_disk_bytes(folders.home()), weighed.problem
        self.tell(f"{self.name}: {mb(to_fetch)} to fetch; {weighed}")
        if disk_bytes > room:
            problem = f"disk: {mb(disk_bytes)} needed, {mb(room)} free at {folders.home()}"
        if problem and not self.force:
            raise UsageError(
                f"{self.name}: does not fit this machine ({problem}); --force pulls it"
            )
        self.tell(f"fits this machine: {'no' if problem else 'yes'}")


Gather = Callable[[Job], dict[str, str]]  # the sha256 of each file beside the manifest


def pull(
    name: str,
    *,
    revision: str | None = None,
    force: bool = False,
    tell: Tell,
    progress: Progress,
    gather: Gather | None = None,
) -> Path:
    """Fetches a model, or goes on fetching it, and returns its folder.

    Args:
        name: `owner/name` of a repository that holds a model.toml, or a name of the catalogue.
        revision: branch, tag or commit; the default branch, or the catalogue's, if None.
        force: also fetch what does not fit this machine.
        tell: takes lines for the user.
        progress: takes the bytes that are here and the bytes in all.
        gather: makes the model's files, in another way than by fetching them.

    Raises:
        ModelError: there is no such model, it is damaged or cannot be loaded.
        UsageError: it does not fit this machine.
        HubError: the hub or the disk failed; what was fetched so far is kept.
    """
    folder, root = folders.folder_of(name), _incoming_root(name)
    with alone(folder, partial(tell, f"{name}: {BUSY}")):
        repository = ask(name, revision)
        if _is_whole(folder, repository.revision):
            tell(f"{name}: already here, at revision {repository.revision[:12]}")
            return folder
        for other in root.iterdir() if root.exists() else []:
            if other.name != repository.revision:
                shutil.rmtree(other)
        part = root / repository.revision
        with whole_folder(folder, part, keep=True):
            files = (gather or _gather)(Job(name, repository, part, force, tell, progress))
            files = {MANIFEST: folders.sha256_of(part / MANIFEST), **files}
            folders.write_lock(part, folders.Lock(repository.name, repository.revision, files))
        shutil.rmtree(root)
        return folder


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
def alone(folder: Path, busy: Callable[[], object]) -> Iterator[None]:
    """As `locked()`, of a folder in edgestream's home; raises HubError where the disk fails."""
    try:
        with locked(folder, busy):
            yield
    except OSError as error:
        where, said = error.filename or folder, error.strerror or str(error)
        raise HubError(f"{where}: {said}; {folders.HOME} names another place") from None


def remove(name: str, tell: Tell) -> None:
    """Removes a pulled model, or what an unfinished pull of it left."""
    if name in folders.shipped():
        raise UsageError(f"{name}: ships with edgestream, it stays")
    folder = folders.folder_of(name)
    with alone(folder, partial(tell, f"{name}: {BUSY}")):
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


def _gather(job: Job) -> dict[str, str]:
    """Fetches what is missing; the sha256 of each file that is there then."""
    found = offer(job.name, job.repository, job.folder)
    here, total = (
        sum(file.stat().st_size for file in job.folder.iterdir()),
        sum(found.sizes.values()),
    )
    missing = max(0, total - here)
    job.weigh(missing, missing, found.fit())
    count = counter(job.progress, "fetching", total)
    files = {name: _fetch_one(found, name, count) for name in found.paths}
    if not found.manifest.files:
        written = dataclasses.replace(found.manifest, files=files)
        write_toml(found.manifest_file, dataclasses.asdict(written))
    return files


def _fetch_one(found: Offer, name: str, count: Callable[[int], None]) -> str:
    file, expected = found.manifest_file.parent / name, found.sha256(name)
    if expected and file.exists() and folders.sha256_of(file) == expected:
        count(file.stat().st_size)
        return expected
    hub.fetch_whole(found.repository, found.paths[name], file, count, expected)
    return expected or folders.sha256_of(file)


def _is_whole(folder: Path, revision: str) -> bool:
    """Whether this revision is in place and undamaged."""
    try:
        folders.read_verified(folder, Manifest)
        return (folder / LOCK).exists() and folders.read_lock(folder).revision == revision
    except ModelError:
        return False


def _incoming_root(name: str) -> Path:
    folder = folders.folder_of(name)
    return folder.parent.parent / "incoming" / folder.name
