# SPDX-License-Identifier: Apache-2.0
"""The classes of things that a model may tell of, and a choice of them."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream.errors import UsageError

PERSON, BICYCLE, VEHICLE, ANIMAL = "person", "bicycle", "vehicle", "animal"
SOMETHING = "something"  # whatever else moves
LABELS = (PERSON, BICYCLE, VEHICLE, ANIMAL, SOMETHING)


def expect_labels(only: Sequence[str] | None) -> None:
    """Raises UsageError unless `only` holds some of LABELS, or is None."""
    if only is None:
        return
    known = ", ".join(LABELS)
    if isinstance(only, str) or not only:
        raise UsageError(f"only is {only!r}; give some of {known}")
    for label in only:
        if label not in LABELS:
            raise UsageError(f"only: '{label}' is no class of things; choose from {known}")


def parse_labels(text: str) -> tuple[str, ...]:
    """Of `person,vehicle` the two names; raises UsageError on others."""
    only = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    expect_labels(only)
    return only
