# SPDX-License-Identifier: Apache-2.0
"""What a stream says. All times are milliseconds on the source's clock, which starts at 0."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One written word; `emitted_ms` of the source had been heard when it was complete."""

    text: str
    start_ms: float
    end_ms: float
    emitted_ms: float


@dataclass(frozen=True, slots=True)
class Draft:
    """The line being spoken, so far. The next Draft or Final replaces it."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Final:
    """A finished line; it never changes."""

    text: str
    words: tuple[Word, ...]
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Input that was lost: nothing between these times was heard."""

    start_ms: float
    end_ms: float
    reason: str


@dataclass(frozen=True, slots=True)
class Lag:
    """The device is too slow; `action` says what was given up to keep up."""

    behind_ms: float
    action: str


Event = Draft | Final | Gap | Lag
