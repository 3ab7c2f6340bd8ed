# SPDX-License-Identifier: Apache-2.0
"""Reads `model.toml` of whatever family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from edgestream.errors import ModelError
from edgestream.library.manifest.commentator import CommentatorManifest, commentator_rules
from edgestream.library.manifest.concatenated import (
    COMMENTATOR,
    CONCATENATED,
    DECODER_FAMILY,
    MANIFEST,
    REENCODED,
    VLM,
    VOICE,
    ConcatenatedManifest,
    Manifest,
    common_rules,
    concatenated_rules,
)
from edgestream.library.manifest.decoder import DecoderManifest, decoder_rules
from edgestream.library.manifest.vlm import VlmManifest, vlm_rules
from edgestream.library.toml_file import build, parse_toml

M = TypeVar("M", bound=Manifest)


def _no_rules(_: Manifest) -> list[tuple[bool, str]]:
    return []


# Of each family the keys of its manifest, and the ranges of their values.
KINDS: dict[str, tuple[type[Manifest], Callable[[Any], list[tuple[bool, str]]]]] = {
    CONCATENATED: (ConcatenatedManifest, concatenated_rules),
    REENCODED: (Manifest, _no_rules),
    VOICE: (Manifest, _no_rules),
    COMMENTATOR: (CommentatorManifest, commentator_rules),
    VLM: (VlmManifest, vlm_rules),
    DECODER_FAMILY: (DecoderManifest, decoder_rules),
}


def read_manifest(path: Path, kind: type[M]) -> M:
    """Reads and checks the `model.toml` of a family that is a `kind`.

    Raises:
        ModelError: it is of another family, or damaged; one line with the path and the key.
    """
    data = parse_toml(path)
    named = data.get("family")
    if named == DECODER_FAMILY and kind not in (Manifest, DecoderManifest):
        raise ModelError(f"{path}: a decoder alone, which hears nothing; see docs/convert.md")
    family, own_rules = KINDS.get(str(named), KINDS[CONCATENATED])
    no_more = set(data) <= set(Manifest.__slots__) and not data.get("files")
    if kind is Manifest and no_more:  # of the catalogue, where a pull writes the rest
        family, own_rules = Manifest, _no_rules
    manifest = build(family, data, f"{path}")
    rules = common_rules(manifest) + own_rules(manifest)
    if wrong := next((message for holds, message in rules if not holds), None):
        raise ModelError(f"{path}: {wrong}")
    if not isinstance(manifest, kind):
        raise ModelError(f"{path}: family {manifest.family!r}, of which there is no use here")
    return manifest


def family_of(folder: Path) -> str:
    """The family that a model's folder names, unchecked; empty if it names none."""
    path = folder / MANIFEST
    return str(parse_toml(path).get("family", "")) if path.exists() else ""
