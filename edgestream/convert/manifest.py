# SPDX-License-Identifier: Apache-2.0
"""Writes `model.toml`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from edgestream.config import MANIFEST, PLAIN_NAME, Manifest
from edgestream.library import sha256_of


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes the `model.toml` of `folder`; the checksums are of the files that lie in it."""
    names = sorted(path.name for path in folder.iterdir() if PLAIN_NAME.fullmatch(path.name))
    files = {name: sha256_of(folder / name) for name in names if name != MANIFEST}
    values = dataclasses.asdict(dataclasses.replace(manifest, files=files))
    lines = [_line(key, value) for key, value in values.items() if not isinstance(value, dict)]
    for table, entries in values.items():
        if isinstance(entries, dict):
            lines += ["", f"[{table}]", *(_line(key, value) for key, value in entries.items())]
    text = "\n".join(line for line in lines if line is not None) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _line(key: str, value: Any) -> str | None:
    """JSON's strings, numbers and arrays are TOML's; nothing is written for None."""
    if value is None:
        return None
    name = key if key.isidentifier() and key.isascii() else json.dumps(key)
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"
