# SPDX-License-Identifier: Apache-2.0
"""Reads `model.toml` of whatever family."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from edgestream.errors import ModelError
from edgestream.library.families import families, no_use
from edgestream.library.manifest.manifest import Manifest, common_rules
from edgestream.library.toml_file import build, parse_toml

M = TypeVar("M", bound=Manifest)


def read_manifest(path: Path, kind: type[M]) -> M:
    """Reads and checks the `model.toml` of a family that is a `kind`.

    Raises:
        ModelError: it is of another family, or damaged; one line with the path and the key.
    """
    data = parse_toml(path)
    name = str(data.get("family"))
    family = families().get(name)
    if family is None and "family" in data:
        raise ModelError(f"{path}: family {name!r} (known: {', '.join(sorted(families()))})")
    if family is not None and not issubclass(family.manifest, kind):
        raise ModelError(f"{path}: {no_use(name)}")
    no_more = set(data) <= set(Manifest.__slots__) and not data.get("files")
    if family is None or (kind is Manifest and no_more):  # the catalogue's: a pull writes the rest
        manifest, own_rules = build(Manifest, data, f"{path}"), list[tuple[bool, str]]()
    else:
        manifest = build(family.manifest, data, f"{path}")
        own_rules = family.rules(manifest)
    rules = common_rules(manifest) + own_rules
    if wrong := next((message for holds, message in rules if not holds), None):
        raise ModelError(f"{path}: {wrong}")
    assert isinstance(manifest, kind)
    return manifest
