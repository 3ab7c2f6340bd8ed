# SPDX-License-Identifier: Apache-2.0
"""The models on this machine: those that ship with edgestream and those that were pulled."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from edgestream.data import DATA
from edgestream.errors import ModelError, UsageError
from edgestream.library.external_weights import refuse_unnamed_weights
from edgestream.library.foreign import foreign
from edgestream.library.manifest.manifest import LOCK, MANIFEST, SHA256, SOURCE, is_plain_name
from edgestream.library.manifest.read import M, read_manifest
from edgestream.library.stand_in import refuse_stand_in
from edgestream.library.toml_file import read_toml, write_toml

HOME = "EDGESTREAM_HOME"
BLOCK_BYTES = 1 << 20
# One `owner/name` of a hub. No `--`, which stands for the slash in names of folders.
REPOSITORY = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
CATALOGUE_NAME = re.compile(r"(?!.*(--|\.\.))[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
# An installed package has its models inside; a source tree that is used in place, beside.
ROOTS = [DATA.parent / "models", DATA.parent.parent / "models"]


@dataclass(frozen=True, slots=True)
class Lock:
    """All of `lock.toml`: what was pulled. `files` maps every file's name to its sha256."""

    repository: str
    revision: str
    files: dict[str, str]


def home() -> Path:
    """Where pulled models lie: the user's cache folder, or what EDGESTREAM_HOME names."""
    if sys.platform == "win32":
        cache = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        cache = "~/Library/Caches"
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    given = os.environ.get(HOME) or os.path.join(cache, "edgestream")
    return Path(os.path.expanduser(given)).absolute()  # Path's own raises where no home is known


def shipped() -> dict[str, Path]:
    """The models that come with edgestream, weights and all: name to folder."""
    return {name: at for name, at in _manifests().items() if not (at / SOURCE).exists()}


def catalogue() -> dict[str, Path]:
    """The models that can be pulled by a short name: name to the folder with their manifest."""
    return {name: at for name, at in _manifests().items() if (at / SOURCE).exists()}


def pulled() -> dict[str, Path]:
    """The models that were pulled: name to folder."""
    folders = sorted(lock.parent for lock in (home() / "models").glob(f"*/{LOCK}"))
    return {_name(at): at for at in folders if is_pullable(_name(at))}


def listed() -> dict[str, tuple[Path, str]]:
    """All of them by name: the folder, and whether its files are here."""
    kinds = {"catalogue": catalogue(), "pulled": pulled(), "ships with edgestream": shipped()}
    return {name: (at, state) for state, found in kinds.items() for name, at in found.items()}


def find(name: str | os.PathLike[str]) -> Path:
    """The folder of a model given by name or path; a path to what has a name begins with ./"""
    if not isinstance(name, (str, os.PathLike)):
        raise UsageError(f"{name!r:.40}: not a model; give a name or a folder")
    named = {**pulled(), **shipped()}
    if folder := named.get(str(name)):
        return folder
    # No error for a name too long or forbidden; a public repository has a config.json instead, the
    # folders of Moonshine's makers a tokenizer.bin.
    files = (MANIFEST, "config.json", "tokenizer.bin")
    if any(os.path.isfile(os.path.join(name, file)) for file in files):
        return Path(name)
    if os.path.exists(name):
        said = foreign(Path(name)) or f"not a model, a model is a folder with a {MANIFEST}"
        raise ModelError(f"{name}: {said}")
    way_out = f"give a folder or one of: {', '.join(sorted(named))}"
    if str(name) in catalogue() or REPOSITORY.fullmatch(str(name)):
        way_out = f"to fetch it from the hub: edgestream models pull {name}"
    raise ModelError(f"{name}: no such model on this machine; {way_out}")


def is_pullable(name: str) -> bool:
    """Whether this can be the name of a model on a hub: `owner/name`, or one of the catalogue."""
    return bool(REPOSITORY.fullmatch(name) or CATALOGUE_NAME.fullmatch(name))


def folder_of(name: str) -> Path:
    """Where the model `name` lies once it is pulled."""
    if not is_pullable(name):
        raise ModelError(f"{name!r}: not the name of a model on a hub (owner/name)")
    return home() / "models" / name.replace("/", "--")


def read_lock(folder: Path) -> Lock:
    """Reads and checks the `lock.toml` of a pulled model."""
    lock = read_toml(folder / LOCK, Lock)
    names = set(lock.files) - {MANIFEST}
    if MANIFEST not in lock.files or not all(map(is_plain_name, names)):
        raise ModelError(f"{folder / LOCK}: files must be plain names, {MANIFEST} among them")
    if not all(map(SHA256.fullmatch, lock.files.values())) or not COMMIT.fullmatch(lock.revision):
        raise ModelError(f"{folder / LOCK}: a checksum or the revision is no hexadecimal number")
    if not REPOSITORY.fullmatch(lock.repository):
        raise ModelError(f"{folder / LOCK}: repository must be owner/name")
    return lock


def write_lock(folder: Path, lock: Lock) -> None:
    """Writes `lock.toml`."""
    write_toml(folder / LOCK, dataclasses.asdict(lock))


def read_verified(folder: Path, kind: type[M]) -> M:
    """The manifest of a model's folder, once the checksum of every file was found right.

    Raises:
        ModelError: a file is missing, altered or damaged, or the model is of another kind than
            wanted; of ONNX files only the places of their weights were parsed.
    """
    locked: dict[str, str] = {}
    if (folder / LOCK).exists():
        locked = read_lock(folder).files
        verify(folder / MANIFEST, locked[MANIFEST], LOCK)
    manifest = read_manifest(folder / MANIFEST, kind)
    if not manifest.files:
        raise ModelError(f"{folder / MANIFEST}: names no files; pull the model")
    if locked and set(locked) != {MANIFEST, *manifest.files}:
        raise ModelError(f"{folder / LOCK}: names other files than {MANIFEST}; pull it again")
    for name, sha256 in manifest.files.items():
        verify(folder / name, sha256, MANIFEST)
    for name in manifest.files:
        if name.endswith(".onnx"):
            refuse_unnamed_weights(folder / name, manifest.files)
    return manifest


def verify(path: Path, sha256: str, source: str) -> None:
    """Raises ModelError unless the file has the checksum that `source` says."""
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; install the model again") from None
    if digest != sha256.lower():
        refuse_stand_in(path)
        raise ModelError(
            f"{path}: altered or damaged (sha256 {digest[:12]}..., {source} says"
            f" {sha256[:12]}...); install the model again"
        )


def sha256_of(path: Path) -> str:
    """The sha256 of a file of any size, read in blocks."""
    return _hexdigest(hashlib.sha256(), path)


def git_blob_of(path: Path) -> str:
    """The name of a file's contents in git: the sha1 of its length and its bytes."""
    head = b"blob %d\0" % path.stat().st_size
    return _hexdigest(hashlib.sha1(head, usedforsecurity=False), path)


def _hexdigest(digest: hashlib._Hash, path: Path) -> str:
    block = memoryview(bytearray(BLOCK_BYTES))
    with path.open("rb", buffering=0) as file:
        while n_bytes := file.readinto(block):
            digest.update(block[:n_bytes])
    return digest.hexdigest()


def _manifests() -> dict[str, Path]:
    found = [m.parent for root in ROOTS for m in sorted(root.glob(f"*/{MANIFEST}"))]
    return {folder.name: folder for folder in reversed(found)}


def _name(folder: Path) -> str:
    return folder.name.replace("--", "/")
