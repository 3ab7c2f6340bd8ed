# SPDX-License-Identifier: Apache-2.0
"""Writes `model.toml`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from edgestream.library.folders import sha256_of
from edgestream.library.manifest.concatenated import (
    MANIFEST,
    PLAIN_NAME,
    ConcatenatedManifest,
    Manifest,
)
from edgestream.library.manifest.decoder import DecoderManifest
from edgestream.library.manifest.ring import written


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
    lines = [_line(key, value) for key, value in values.items() if not isinstance(value, dict)]
    for table, entries in values.items():
        if isinstance(entries, dict):
            lines += ["", f"[{table}]", *(_line(key, value) for key, value in entries.items())]
    text = "\n".join(line for line in lines if line is not None) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _line(key: str, value: Any) -> str | None:
    """JSON's strings, numbers and arrays are TOML's; nothing is written for None, and of texts
    that come from a checkpoint what is not printable is left out."""
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        value = [_printable(each) for each in value]
    value = _printable(value)
    name = key if key.isidentifier() and key.isascii() else json.dumps(key)
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _printable(value: Any) -> Any:
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else value
