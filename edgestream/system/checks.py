# SPDX-License-Identifier: Apache-2.0
"""Numbers that programs pass: what the command line checks by its types is checked here."""

from __future__ import annotations

import math

import numpy as np

from edgestream.errors import UsageError


def finite(value: object, what: str, way_out: str = "pass a number") -> float:
    """A finite number as a float; raises UsageError with `way_out` on anything else."""
    number = isinstance(value, (int, float, np.integer, np.floating))
    try:
        found = float(value) if number and not isinstance(value, bool) else math.nan  # type: ignore[arg-type]
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise UsageError(f"{what}: {value!r:.40} cannot be used; {way_out}")
    return found


def whole(value: object, what: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`, as 16000 or 16000.0; raises UsageError else."""
    way_out = f"it must be a whole number from {low} to {high}"
    found = finite(value, what, way_out)
    if found != math.floor(found) or not low <= found <= high:
        raise UsageError(f"{what}: {value!r:.40} cannot be used; {way_out}")
    return int(found)
