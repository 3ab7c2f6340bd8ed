# SPDX-License-Identifier: Apache-2.0
"""A model of the catalogue whose repository holds a checkpoint: pulled, converted, put in place."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.fetch import fetch_checkpoint
from edgestream.convert.request import Progress, Request
from edgestream.convert.run import entry_of, require_packages, write_model
from edgestream.hub import repository as hub
from edgestream.hub.fit import fit_converted, mb, probe
from edgestream.hub.pull import Tell, alone, ask, incoming, is_whole, put_in_place, weigh
from edgestream.library import folders
from edgestream.library.catalogue import read_source
from edgestream.library.manifest.concatenated import MANIFEST, Manifest
from edgestream.library.manifest.read import read_manifest


def pull_checkpoint(
    name: str, *, revision: str | None, force: bool, tell: Tell, progress: Progress
) -> Path:
    """Fetches the checkpoint of a name of the catalogue, converts it as is usual for its kind, and
    returns the model's folder; arguments and errors are those of `pull`.

    The checkpoint stays, as after `edgestream convert`.

    Raises:
        UsageError: a package that converting needs is missing.
    """
    require_packages(f"{name} must be converted")
    with alone(name, tell):
        repository, folder = ask(name, revision), folders.folder_of(name)
        if is_whole(folder, repository.revision):
            tell(f"{name}: already here, at revision {repository.revision[:12]}")
            return folder
        gathered = _convert(name, repository, force=force, tell=tell, progress=progress)
        files = read_manifest(gathered / MANIFEST, Manifest).files
        return put_in_place(name, repository, gathered, files)


def _convert(
    name: str, repository: hub.Repository, *, force: bool, tell: Tell, progress: Progress
) -> Path:
    """The folder in which the model was gathered."""
    made = read_source(folders.catalogue()[name]).converted
    assert made is not None  # else there is nothing to convert

    def weigh_it(n_bytes: int, missing: int) -> None:
        # Beside the result, a file of the decoder before it is quantized.
        disk_bytes = missing + n_bytes + sum(made.files.values())
        fitted = fit_converted(made, probe())
        weigh(name, missing, disk_bytes, fitted, force=force, tell=tell)

    checkpoint, origin = fetch_checkpoint(repository, progress, weigh_it)
    gathered = incoming(name, repository)
    shutil.rmtree(gathered)  # what an interrupted conversion left
    gathered.mkdir()
    request = Request(name, origin, None, None, os.cpu_count() or 1, entry_of(name))
    n_bytes, _ = write_model(Checkpoint(checkpoint), gathered, request, progress)
    tell(f"{name}: converted; the checkpoint ({mb(n_bytes)}) stays at {checkpoint}")
    return gathered
