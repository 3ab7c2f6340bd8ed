# SPDX-License-Identifier: Apache-2.0
"""Families of models: what each is called, what its `model.toml` says, and who opens it.

Each family registers itself by a file `family.py` in its own room, which gives a list, FAMILIES.
Nothing else has to know its name, so a new family touches no other file; a program may `register`
one of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import edgestream
from edgestream.library.gguf_header import DecoderShape
from edgestream.library.manifest.manifest import MANIFEST, Manifest
from edgestream.library.needs import Demand, Needs, Speed, graph_needs, unpaced
from edgestream.library.toml_file import parse_toml

SOUND, PICTURES = "sound", "pictures"  # what a family's streams take


def _no_rules(_: Any) -> list[tuple[bool, str]]:
    return []


def _not_recognised(_: Path) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models. What it does not give is as models of encoder graphs alone have it.

    `open(folder, decoder_device)` loads a model that has `stream(...)`. `recognises(folder)` is
    true of a folder without a `model.toml` that the family can open as its makers published it.
    """

    name: str  # `family` in model.toml
    manifest: type[Manifest] = Manifest  # the keys of its model.toml
    rules: Callable[[Any], list[tuple[bool, str]]] = _no_rules  # (holds, else what is wrong)
    takes: str = ""  # SOUND or PICTURES; empty: no model of its own, but a part of others
    open: Callable[[Path, str | None], Any] | None = None
    recognises: Callable[[Path], bool] = _not_recognised
    # Of (manifest, sizes of its files in bytes, shape of a GGUF decoder).
    needs: Callable[[Any, dict[str, int], DecoderShape | None], Needs] = graph_needs
    # Of (manifest, sizes, what it needs, how fast the machine is).
    demand: Callable[[Any, dict[str, int], Needs, Speed], Demand] = unpaced
    alone: str = ""  # why there is no stream of it, for who asks for one


_registered: dict[str, Family] = {}


def register(family: Family) -> None:
    """Makes a family known, or known anew."""
    _registered[family.name] = family


def families() -> dict[str, Family]:
    """All families that are known, by name."""
    return _built_in() | _registered


def family_of(folder: Path) -> Family | None:
    """The family of a model's folder, its files unchecked; None if it is of none that is known."""
    path = folder / MANIFEST
    if path.exists():
        return families().get(str(parse_toml(path).get("family", "")))
    return next((family for family in families().values() if family.recognises(folder)), None)


def no_use(name: str) -> str:
    """Why a model of this family cannot be used here."""
    family = families().get(name)
    return (family and family.alone) or f"family {name!r} is not one that can be used here"


@cache
def _built_in() -> dict[str, Family]:
    """Those whose rooms have a file `family.py`."""
    found: dict[str, Family] = {}
    for root in map(Path, edgestream.__path__):
        for path in sorted([*root.glob("*/family.py"), *root.glob("*/*/family.py")]):
            parts = path.relative_to(root).with_suffix("").parts
            module = import_module(".".join(("edgestream", *parts)))
            found |= {family.name: family for family in module.FAMILIES}
    return found
