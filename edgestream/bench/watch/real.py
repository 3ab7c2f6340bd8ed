# SPDX-License-Identifier: Apache-2.0
"""Real clips and still minutes: this model, the old pixel model and a plain peer side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgestream.bench.watch.blobs import Blobs
from edgestream.bench.watch.clips import FPS, Clip
from edgestream.bench.watch.event_score import EventScore
from edgestream.bench.watch.lively import darkened, lively, noisy_still
from edgestream.bench.watch.scenes import scene
from edgestream.bench.watch.turns import Turns, Watching, in_turn
from edgestream.sources.picture import Picture
from edgestream.vision.watch import load_watcher
from edgestream.vision.watcher import Watcher

PIXELS, BLOBS = "tiny-watch", "blobs"  # the other two
STILL_MS = 60_000.0
STILL_SEED = 1 << 20  # drawn still scenes have other numbers than those of events


def watchers(model: Watcher) -> dict[str, Watching]:
    """By name: streams of the model and of the pixel model, and blobs."""
    models = {model.manifest.name: model, PIXELS: load_watcher(PIXELS)}
    streams: dict[str, Watching] = {name: each.stream() for name, each in models.items()}
    return streams | {BLOBS: Blobs()}


def watch_clips(streams: Mapping[str, Watching], clips: Sequence[Clip]) -> dict[str, Any]:
    """Scores as the clips are and darkened, and shares of a core, for each watcher by name."""
    as_is, busy = _score(streams, clips, dark=False)
    dark, _ = _score(streams, clips, dark=True)
    return {
        name: {
            "as_is": as_is[name],
            "dark": dark[name],
            "core_share_busy": _core_share(busy[name]),
        }
        for name in streams
    }


def _score(
    streams: Mapping[str, Watching], clips: Sequence[Clip], *, dark: bool
) -> tuple[dict[str, dict[str, Any]], dict[str, Turns]]:
    """Figures of the comments, and all turns together."""
    scores = {name: EventScore() for name in streams}
    total = {name: Turns() for name in streams}
    for seed, clip in enumerate(clips):
        pictures = darkened(clip.pictures(), seed) if dark else clip.pictures()
        for name, turns in in_turn(streams, pictures).items():
            scores[name].add(turns.comments, clip.happened)
            total[name].pictures += turns.pictures
            total[name].cpu_s += turns.cpu_s
    minutes = {name: turns.pictures / FPS / 60 for name, turns in total.items()}
    return {name: _figures(scores[name], minutes[name]) for name in streams}, total


def _figures(score: EventScore, minutes: float) -> dict[str, Any]:
    late_ms = score.late_ms or [np.nan]
    return {
        "f1": score.f1,
        "precision": score.precision,
        "recall": score.recall,
        "comments": score.comments,
        "comments_right": score.right,
        "events": score.happened,
        "false_per_minute": (score.comments - score.right) / minutes,
        "late_p50_ms": float(np.percentile(late_ms, 50)),
        "late_p95_ms": float(np.percentile(late_ms, 95)),
        "classes": dict(score.classes.most_common()),
    }


def still_core_shares(
    streams: Mapping[str, Watching], clips: Sequence[Clip], seconds: float
) -> dict[str, float]:
    """Of a core at FPS pictures a second, on a still picture with noise."""
    turns = in_turn(streams, noisy_still(clips[0].first, FPS, seconds, seed=0))
    return {name: _core_share(some) for name, some in turns.items()}


def _core_share(turns: Turns) -> float:
    return FPS * turns.cpu_s / turns.pictures


def count_still_comments(
    streams: Mapping[str, Watching], clips: Sequence[Clip], minutes: float
) -> dict[str, int]:
    """Comments of each watcher in minutes in which nothing happens."""
    counts = dict.fromkeys(streams, 0)
    for film in _photographs(clips, minutes) if clips else _drawn(minutes):
        for name, turns in in_turn(streams, film).items():
            counts[name] += len(turns.comments)
    return counts


def _photographs(clips: Sequence[Clip], minutes: float) -> Iterator[Iterator[Picture]]:
    """The first picture of each clip, made to live; the minutes are shared between them."""
    for seed, clip in enumerate(clips):
        yield lively(clip.first, FPS, 60 * minutes / len(clips), seed)


def _drawn(minutes: float) -> Iterator[Iterator[Picture]]:
    """Noisy scenes of a minute each."""
    for number in range(max(1, round(60_000 * minutes / STILL_MS))):
        still = scene(STILL_SEED + number, still=True, length_ms=min(STILL_MS, 60_000 * minutes))
        yield still.pictures(FPS, seed=number)
