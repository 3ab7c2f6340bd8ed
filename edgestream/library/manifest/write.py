# SPDX-License-Identifier: Apache-2.0
"""Writes `model.toml`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from edgestream.library.folders import sha256_of
from edgestream.library.manifest.concatenated import ConcatenatedManifest
from edgestream.library.manifest.decoder import DecoderManifest
from edgestream.library.manifest.manifest import MANIFEST, PLAIN_NAME, Manifest
from edgestream.library.manifest.ring import written
from edgestream.library.toml_file import write_toml


def write_manifest(folder: Path, manifest: Manifest, entry: Manifest | None = None) -> None:
    """Writes the `model.toml` of `folder`; the checksums are of the files that lie in it.

    What the catalogue's `entry` says of the model stands before what the checkpoint says.
    """
    if entry:
        manifest = dataclasses.replace(
            manifest,
            description=entry.description,
            languages=entry.languages,
            license=entry.license,
        )
    names = sorted(path.name for path in folder.iterdir() if PLAIN_NAME.fullmatch(path.name))
    files = {name: sha256_of(folder / name) for name in names if name != MANIFEST}
    values = dataclasses.asdict(dataclasses.replace(manifest, files=files))
    if isinstance(manifest, (ConcatenatedManifest, DecoderManifest)):
        values["decoder"] = written(manifest.decoder)
    write_toml(folder / MANIFEST, values)
