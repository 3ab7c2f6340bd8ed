# SPDX-License-Identifier: Apache-2.0
"""Untrusted JSON files: read with a limit, fields fetched with their type and range checked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from edgestream.errors import ModelError
from edgestream.library.stand_in import read_limited

LIMIT_BYTES = 128 << 20  # the largest tokenizer.json has about 35 MB


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises ModelError with one line on anything else."""
    try:
        found = json.loads(read_limited(path, LIMIT_BYTES).decode("utf-8"))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON ({error})".replace("\n", " ")) from None
    if not isinstance(found, dict):
        raise ModelError(f"{path}: must be a JSON object")
    return found


class Fields:
    """The fields of an untrusted object; `where` begins each error. A null counts as missing."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise ModelError(f"{where}: must be an object")
        self.data: dict[str, Any] = data
        self.where = where

    def get(self, name: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        """The value if it is exactly of a type of `kind`."""
        value = self.data.get(name)
        if value is None:
            if default is ...:
                raise ModelError(f"{self.where}: {name} is missing")
            return default
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if type(value) not in kinds:
            wanted = " or ".join(each.__name__ for each in kinds)
            raise ModelError(f"{self.where}: {name} is {value!r:.80}, not of type {wanted}")
        return value

    def integer(self, name: str, low: int, high: int, default: Any = ...) -> int:
        """A whole number from `low` to `high`."""
        value = self.get(name, int, default)
        if value is not default and not low <= value <= high:
            raise ModelError(f"{self.where}: {name} is {value}, it must be {low} to {high}")
        return int(value)

    def positive(self, name: str, default: Any = ...) -> float:
        """A finite number above 0."""
        try:
            value = float(self.get(name, (int, float), default))
        except OverflowError:
            value = math.inf
        if not 0 < value < math.inf:
            raise ModelError(f"{self.where}: {name} is {value}, it must be above 0")
        return value

    def flag(self, name: str, default: Any = ...) -> bool:
        """true or false."""
        return bool(self.get(name, bool, default))

    def text(self, name: str, default: Any = ...) -> str:
        """A string."""
        return str(self.get(name, str, default))

    def table(self, name: str) -> Fields:
        """An object; empty if missing."""
        return Fields(self.get(name, dict, {}), f"{self.where}: {name}")

    def refuse(self, name: str, *accepted: Any) -> None:
        """Raises if the field has a value that would change results and is not implemented."""
        value = self.data.get(name)
        if value is not None and value not in accepted:
            only = f"; converted is {accepted[0]!r}" if accepted else ""
            raise ModelError(f"{self.where}: {name} {value!r:.80} is not supported{only}")
