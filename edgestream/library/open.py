# SPDX-License-Identifier: Apache-2.0
"""Opens a model by its name or folder, whatever its family."""

from __future__ import annotations

import os
from typing import Any

from edgestream.errors import ModelError
from edgestream.library.families import PICTURES, SOUND, family_of, no_use
from edgestream.library.folders import find
from edgestream.library.manifest.manifest import MANIFEST, Manifest
from edgestream.library.manifest.read import read_manifest
from edgestream.system.native_work import native_work

OTHERS = {
    SOUND: "this model sees, it does not hear; use edgestream watch",
    PICTURES: "this model hears, it does not see; use edgestream listen",
}


def open_model(name: str | os.PathLike[str], takes: str, decoder_device: str | None) -> Any:
    """Loads the model of this name or folder, whose streams take SOUND or PICTURES.

    Raises:
        ModelError: there is none, or one that takes something else, or a damaged one.
        UsageError: a device for a model whose decoder is not GGUF.
    """
    folder = find(name)
    family = family_of(folder)
    if family is None or family.open is None:
        manifest = read_manifest(folder / MANIFEST, Manifest)  # which may say more
        raise ModelError(f"{folder / MANIFEST}: {no_use(manifest.family)}")
    if family.takes != takes:
        raise ModelError(f"{folder}: {OTHERS[takes]}")
    with native_work():
        return family.open(folder, decoder_device)
