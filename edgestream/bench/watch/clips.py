# SPDX-License-Identifier: Apache-2.0
"""A folder of video files, and what happens in them: `truth.json`, made by hand from looking.

    {"door.mp4": [[6.3, "enters", "left"], [8.0, "stops"], [9.5, "moves", "right"]]}

Seconds, kind, and the side or direction where there is one; without it any side is right.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgestream.bench.watch.event_score import Happened
from edgestream.bench.watch.lively import Rgb
from edgestream.errors import SourceError, UsageError
from edgestream.sources.open_pictures import open_pictures
from edgestream.sources.picture import Picture
from edgestream.vision.perception import view
from edgestream.vision.tracked import sentences, story

TRUTH = "truth.json"
FPS = 5.0
LATEST_S = 1e9  # in a clip
OF_THINGS = (story.ENTERS, story.LEAVES, story.STOPS, story.MOVES, story.STAYS)
KINDS = (*OF_THINGS, view.CAMERA_MOVES, view.ZOOMS, *sentences.VIEW)
WHERE = ("left", "right", "top", "bottom", "in", "out")
LIKE = '{"door.mp4": [[6.3, "enters", "left"], [8.0, "stops"]]}'


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file, read up to `until_ms`; what happens in it; its first picture."""

    path: Path
    happened: tuple[Happened, ...]
    first: Rgb
    until_ms: float

    def pictures(self) -> Iterator[Picture]:
        """At most FPS a second, as fast as they are read; times in milliseconds."""
        return _pictures(self.path, self.until_ms)


def read_clips(folder: Path, seconds: float = math.inf) -> list[Clip]:
    """The clips of a folder by name, each up to so many seconds.

    Raises UsageError or SourceError on a folder, truth.json or video that cannot be used.
    """
    clips = []
    for name, events in sorted(_truth(folder).items()):
        happened = tuple(h for h in events if h.visible_ms < 1000 * seconds)
        path = folder / name
        first = next(_pictures(path, math.inf), None)
        if first is None:
            raise SourceError(f"{path}: has no picture; take it out of {TRUTH}")
        clips.append(Clip(path, happened, first.rgb, 1000 * seconds))
    return clips


def _pictures(path: Path, until_ms: float) -> Iterator[Picture]:
    source = open_pictures(path, fast=True, fps=FPS)
    try:
        for item in source:
            if isinstance(item, Picture):
                if item.time_ms >= until_ms:
                    return
                yield item
    finally:
        source.close()


def _truth(folder: Path) -> dict[str, list[Happened]]:
    path = folder / TRUTH
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; give one with video files and {TRUTH}")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"{folder}: has no {TRUTH}; write what happens in its clips: {LIKE}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(told, dict) or not told:
        raise UsageError(f"{path}: names no clips; write an object: {LIKE}")
    for name in told:
        if not (folder / name).is_file():
            raise UsageError(
                f"{path}: names {name}, which is not in {folder}; take one of the two out"
            )
    return {name: _events(path, name, events) for name, events in told.items()}


def _events(path: Path, name: str, events: Any) -> list[Happened]:
    if not isinstance(events, list):
        raise UsageError(f"{path}: {name} has no list of events; write {LIKE}")
    return [_event(f"{path}: {name}: event {i + 1}", event) for i, event in enumerate(events)]


def _event(place: str, event: Any) -> Happened:
    if not isinstance(event, list) or len(event) not in (2, 3):
        raise UsageError(f'{place} is {json.dumps(event):.60}; write [6.3, "enters", "left"]')
    seconds, kind = event[:2]
    where = event[2] if len(event) == 3 else None
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds <= LATEST_S:
        raise UsageError(f"{place} is at {json.dumps(seconds):.40}; give seconds from 0 on")
    if kind not in KINDS:
        raise UsageError(
            f"{place} is of kind {json.dumps(kind):.40}; choose from {', '.join(KINDS)}"
        )
    if where is not None and where not in WHERE:
        raise UsageError(f"{place} is at {json.dumps(where):.40}; choose from {', '.join(WHERE)}")
    return Happened(1000.0 * seconds, kind, where)
