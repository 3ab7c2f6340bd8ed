# SPDX-License-Identifier: Apache-2.0
"""A model by its name: pulled as it is, or as a checkpoint that is converted."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

from edgestream.convert.checkpoint import Checkpoint
from edgestream.convert.fetch import fetch_checkpoint
from edgestream.convert.request import Request
from edgestream.convert.run import entry_of, require_packages, write_model
from edgestream.errors import UsageError
from edgestream.hub import pull as hub
from edgestream.hub import repository
from edgestream.hub.fit import fit_converted, mb, probe
from edgestream.library import folders
from edgestream.library.catalogue import Converted, converted
from edgestream.library.manifest.manifest import MANIFEST, Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.library.progress import Progress, Tell


def pull(
    name: str,
    *,
    revision: str | None = None,
    force: bool = False,
    offline: bool = False,
    tell: Tell,
    progress: Progress,
) -> Path:
    """As `hub.pull.pull()`, but the checkpoint of a model of the catalogue that has no files of its
    own is fetched and converted, as is usual for its kind; it stays, as after `edgestream convert`.
    With `offline` the model must be here.

    Raises:
        UsageError: it does not fit this machine, a package that converting needs is missing, or
            offline the model.
    """
    if offline or repository.offline():
        if name not in folders.pulled():
            raise UsageError(f"{name}: is not on this machine, and nothing is fetched offline")
        folder = folders.find(name)
        folders.read_verified(folder, Manifest)
        tell(f"{name}: here and intact; nothing newer is looked for offline")
        return folder
    made = converted(name)
    if made is None:
        return hub.pull(name, revision=revision, force=force, tell=tell, progress=progress)
    require_packages(f"{name} must be converted")
    gather = partial(_convert, made)
    return hub.pull(
        name, revision=revision, force=force, tell=tell, progress=progress, gather=gather
    )


def _convert(made: Converted, job: hub.Job) -> dict[str, str]:
    def weigh(n_bytes: int, missing: int) -> None:
        # Beside the result, a file of the decoder before it is quantized.
        disk_bytes = missing + n_bytes + sum(made.files.values())
        job.weigh(missing, disk_bytes, fit_converted(made, probe()))

    checkpoint, origin = fetch_checkpoint(job.repository, job.progress, weigh)
    shutil.rmtree(job.folder)  # what an interrupted conversion left
    job.folder.mkdir()
    request = Request(job.name, origin, None, None, os.cpu_count() or 1, entry_of(job.name))
    n_bytes, _ = write_model(Checkpoint(checkpoint), job.folder, request, job.progress)
    job.tell(f"{job.name}: converted; the checkpoint ({mb(n_bytes)}) stays at {checkpoint}")
    return read_manifest(job.folder / MANIFEST, Manifest).files
