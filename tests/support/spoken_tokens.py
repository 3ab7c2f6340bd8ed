# SPDX-License-Identifier: Apache-2.0
"""Tokens of any bytes at any times through a SegmentCaption, committed in parts of any sizes."""

from __future__ import annotations

from collections.abc import Sequence

from edgestream.captions.clock import Clock
from edgestream.captions.segment_caption import SegmentCaption
from edgestream.events import Event, Final


def caption_of(tokens: Sequence[bytes], clock: Clock | None = None) -> SegmentCaption:
    """Its tokens are 0, 1, 2, ... in the order in which they are spoken."""
    return SegmentCaption(list(tokens), clock or Clock())


def events_of(
    tokens: Sequence[bytes],
    begins_ms: Sequence[float],
    sizes: Sequence[int] = (1,),
    *,
    clock: Clock | None = None,
    n_hypothesis: int = 3,
) -> list[Event]:
    """Events of tokens that begin there (and one time more), as many a push as `sizes` says."""
    caption, events, at, i = caption_of(tokens, clock), [], 0, 0
    while at < len(tokens):
        end = min(len(tokens), at + sizes[i % len(sizes)])
        events += caption.push(
            range(at, end),
            range(end, min(len(tokens), end + n_hypothesis)),
            begins_ms=begins_ms[at : end + 1],
            window_ms=0,
            known_ms=begins_ms[end],
            now_ms=begins_ms[-1],
        )
        at, i = end, i + 1
    return events + caption.finish()


def lines_of(text: str, *, token_ms: float = 60, size: int = 3) -> list[Final]:
    """Lines of a text in tokens of so many letters, each of the same length."""
    tokens = [text[at : at + size].encode() for at in range(0, len(text), size)]
    begins_ms = [token_ms * i for i in range(len(tokens) + 1)]
    return finals(events_of(tokens, begins_ms))


def finals(events: Sequence[Event]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def texts(lines: Sequence[Final]) -> list[str]:
    return [line.text for line in lines]
