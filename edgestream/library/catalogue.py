# SPDX-License-Identifier: Apache-2.0
"""An entry of the catalogue: where a hub has the model, or the checkpoint of which it is made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgestream.errors import ModelError
from edgestream.library.folders import COMMIT, REPOSITORY, catalogue
from edgestream.library.manifest.manifest import MANIFEST, SOURCE, Manifest, is_plain_name
from edgestream.library.manifest.read import read_manifest
from edgestream.library.toml_file import read_toml

BRANCH = re.compile(r"[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
HUB_PATH = re.compile(r"(?!.*(?:^|/)\.\.?(?:/|$))[\w.+-]+(?:/[\w.+-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class HubFile:
    """Where the hub has one file of a model, and how large it is (about, in a branch)."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class CheckpointSource:
    """Where a hub has the weights of which `edgestream convert` makes a model."""

    repository: str
    revision: str


@dataclass(frozen=True, slots=True)
class Converted:
    """What a checkpoint becomes: bytes of each file, about, and the sound of a step."""

    step_ms: int
    files: dict[str, int]


@dataclass(frozen=True, slots=True)
class Source:
    """All of `source.toml`: where a hub has a model of the catalogue.

    Either its files, as they are used. The revision is a commit then, and the manifest beside has
    the checksums; or it is a branch, and the manifest has none: what a pull meets is written down.
    Or a checkpoint alone, which a pull converts.
    """

    repository: str = ""
    revision: str = ""
    files: dict[str, HubFile] | None = None
    checkpoint: CheckpointSource | None = None
    converted: Converted | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit."""
        return bool(COMMIT.fullmatch(self.revision))

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file of the model, about."""
        if self.converted:
            return self.converted.files
        return {name: file.bytes for name, file in (self.files or {}).items()}


def read_source(folder: Path) -> Source:
    """Reads and checks the `source.toml` of a model of the catalogue."""
    path, manifest = folder / SOURCE, read_manifest(folder / MANIFEST, Manifest)
    source = read_toml(path, Source)
    rules = [(manifest.name == folder.name, f"{MANIFEST} has another name: {manifest.name!r}")]
    rules += _checkpoint_rules(source) if source.converted else _file_rules(source, manifest)
    if at := source.checkpoint:
        rules += _place_rules(at.repository, at.revision)
    for holds, message in rules:
        if not holds:
            raise ModelError(f"{path}: {message}")
    return source


def converted(name: str) -> Converted | None:
    """What a model of the catalogue becomes whose pull converts a checkpoint; None of others."""
    entry = catalogue().get(name)
    return read_source(entry).converted if entry else None


def _place_rules(repository: str, revision: str) -> list[tuple[bool, str]]:
    return [
        (bool(REPOSITORY.fullmatch(repository)), "repository must be owner/name"),
        (bool(BRANCH.fullmatch(revision)), "revision must be a commit or the name of a branch"),
    ]


def _file_rules(source: Source, manifest: Manifest) -> list[tuple[bool, str]]:
    files = source.files or {}
    return [
        *_place_rules(source.repository, source.revision),
        (source.is_pinned or not manifest.files,
         f"revision must be a commit, 40 hexadecimal digits, where {MANIFEST} has checksums"),
        (set(manifest.files) == (set(files) if source.is_pinned else set()),
         f"files must be those of {MANIFEST}"),
        (bool(files) and all(map(is_plain_name, files)), "files must have plain names"),
        (all(HUB_PATH.fullmatch(file.path) and file.bytes > 0 for file in files.values()),
         "files need a path inside the repository and their size in bytes"),
    ]  # fmt: skip


def _checkpoint_rules(source: Source) -> list[tuple[bool, str]]:
    made = source.converted or Converted(0, {})
    return [
        (source.checkpoint is not None, "a converted model needs its checkpoint"),
        (not (source.repository or source.revision or source.files),
         "either files of a repository or a checkpoint to convert, not both"),
        (made.step_ms > 0 and bool(made.files) and min(made.files.values()) > 0,
         "converted needs step_ms and the size of each file in bytes"),
    ]  # fmt: skip
