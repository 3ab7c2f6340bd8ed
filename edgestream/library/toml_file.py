# SPDX-License-Identifier: Apache-2.0
"""Strict TOML: a file becomes a dataclass, or an error of one line with the path and the key; and
tables become a file."""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from edgestream.errors import ModelError
from edgestream.library.stand_in import read_limited

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

A_MODEL = "a model is a folder with a model.toml"
TOML_LIMIT_BYTES = 64 * 1024  # a real manifest has about one kilobyte
T = TypeVar("T")


def read_toml(path: Path, cls: type[T], way_out: str = A_MODEL) -> T:
    """Reads a TOML file into the dataclass `cls`: no key missing, none unknown, types as declared.

    Raises:
        ModelError: no such file (`way_out` says what to do), not TOML, or not of this form; one
            line with the path and the key.
    """
    return build(cls, parse_toml(path, way_out), f"{path}")


def parse_toml(path: Path, way_out: str = A_MODEL) -> dict[str, Any]:
    """The tables of a TOML file; raises ModelError in one line on what is none."""
    try:
        return tomllib.loads(read_limited(path, TOML_LIMIT_BYTES).decode("utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; {way_out}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, too many digits or levels
        raise ModelError(f"{path}: not valid TOML ({error})".replace("\n", " ")) from None


def write_toml(path: Path, values: Mapping[str, Any], comment: str = "") -> None:
    """Writes keys, then a table for each value that is a mapping. Nothing is written for None, and
    what is not printable is left out of texts."""
    tables = {name: table for name, table in values.items() if isinstance(table, Mapping)}
    lines = [f"# {comment}"] if comment else []
    lines += _lines({key: value for key, value in values.items() if key not in tables})
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_lines(table)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(values: Mapping[str, Any]) -> Iterator[str]:
    """JSON's strings, numbers and arrays are TOML's."""
    for key, value in values.items():
        if value is None:
            continue
        shown = [*map(_printable, value)] if isinstance(value, tuple) else _printable(value)
        name = key if key.isidentifier() and key.isascii() else json.dumps(key)
        yield f"{name} = {json.dumps(shown, ensure_ascii=False)}"


def _printable(value: Any) -> Any:
    return "".join(filter(str.isprintable, value)) if isinstance(value, str) else value


def build(cls: type[T], data: object, where: str) -> T:
    """Fills the dataclass `cls` from a table: no key missing, none unknown, types as declared."""
    if not isinstance(data, dict):
        raise ModelError(f"{where}: must be a table")
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    names = [field.name for field in fields]
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    if unknown := sorted(set(data) - set(names)):
        raise ModelError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(names)}")
    if missing := [name for name in needed if name not in data]:
        raise ModelError(f"{where}: key {missing[0]!r} is missing")
    values = {name: _convert(hints[name], data[name], f"{where}: {name}") for name in data}
    return cls(**values)


def _convert(kind: Any, value: object, where: str) -> Any:
    if isinstance(kind, types.UnionType):
        kind = _member(kind, value)
    if dataclasses.is_dataclass(kind):
        return build(typing.cast(type, kind), value, where)
    if kind is float and type(value) is int and abs(value) < 1 << 1000:
        return float(value)
    if kind in (int, float, str, bool) and type(value) is kind:
        return value
    if typing.get_origin(kind) is tuple and isinstance(value, list):
        return tuple(_convert(typing.get_args(kind)[0], item, where) for item in value)
    if typing.get_origin(kind) is dict and isinstance(value, dict):
        item_kind = typing.get_args(kind)[1]
        return {key: _convert(item_kind, item, f"{where}.{key!r}") for key, item in value.items()}
    raise ModelError(f"{where}: {value!r} is not of type {getattr(kind, '__name__', kind)}"[:300])


def _member(kind: types.UnionType, value: object) -> Any:
    """Of `X | Y` the last that has all keys of the table, else the first; of `X | None`, X."""
    members = [each for each in typing.get_args(kind) if each is not types.NoneType]
    keys = set(value) if isinstance(value, dict) else set()
    fits = [each for each in members if keys <= set(getattr(each, "__dataclass_fields__", ()))]
    return [members[0], *fits][-1]
