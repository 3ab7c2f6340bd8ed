# SPDX-License-Identifier: Apache-2.0
"""`edgestream bench watch`: commentary on scenes that are made by program, live and from files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgestream.bench.machine import describe, of_the_machine, one_core
from edgestream.bench.process import Memory
from edgestream.bench.watch.event_score import EventScore, most_repeats
from edgestream.bench.watch.glass import CAMERA_FPS, watch_glass
from edgestream.bench.watch.runs import (
    comment_on_scenes,
    count_comments_on_still_scenes,
    watch_file,
    write_video,
)
from edgestream.bench.watch.scenes import SCENE_MS, scene
from edgestream.bench.watch.stateless import SCENES, compare_with_stateless
from edgestream.errors import UsageError
from edgestream.vision.commentator.model import CommentatorModel
from edgestream.vision.watch import load_watcher

LIVE_SCENES = range(1 << 21, (1 << 21) + 24)  # numbers that no other scene has


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    n_scenes: int
    still_minutes: float
    file_minutes: float
    live_s: float
    compute_s: float  # of each kind of scene


FULL = Plan(n_scenes=200, still_minutes=30.0, file_minutes=61.0, live_s=180.0, compute_s=60.0)
QUICK = Plan(n_scenes=12, still_minutes=2.0, file_minutes=2.4, live_s=12.0, compute_s=14.0)


def measure(model_name: str, *, quick: bool) -> dict[str, Any]:
    """All figures, by the names that the JSON has.

    Raises EdgestreamError if the model cannot be used.
    """
    plan = QUICK if quick else FULL
    model = load_watcher(model_name)
    if not isinstance(model, CommentatorModel):
        raise UsageError(f"{model_name}: bench watch scores the lines of tiny-watch's family alone")
    figures = describe(model) | {"quick": quick}
    figures |= _measure_live(model, plan)
    with one_core() as pinned:
        figures |= {"one_core": pinned} | _measure_events(model, plan)
    figures |= _measure_still(model, plan) | measure_file(model, plan.file_minutes)
    figures |= _measure_compute(plan)
    return figures | {"not_measured": _not_measured(figures)}


def _measure_live(model: CommentatorModel, plan: Plan) -> dict[str, Any]:
    _say(f"{plan.live_s:g} s of a live camera on loopback, {CAMERA_FPS:g} pictures a second")
    scenes = [scene(number, length_ms=1000 * plan.live_s) for number in LIVE_SCENES]
    glass = watch_glass(model, max(scenes, key=lambda each: len(each.happenings)))
    return {
        "live_s": glass.seconds,
        "live_fps": glass.pictures / glass.seconds,
        "glass_comments": len(glass.to_word_ms),
        **_percentiles("glass_to_word", glass.to_word_ms),
        **_percentiles("event_to_word", glass.event_to_word_ms),
        **_percentiles("staleness", glass.staleness_ms),
        "series_live": {"glass_to_word_ms": glass.to_word_ms},
    }


def _measure_events(model: CommentatorModel, plan: Plan) -> dict[str, Any]:
    _say(f"{plan.n_scenes} scenes of {SCENE_MS / 1000:g} s")
    run = comment_on_scenes(model, plan.n_scenes)
    return {
        "fps": run.counts.pictures / run.compute_s,
        "fps_cpu": run.counts.pictures / run.cpu_s,
        "tokens_per_s": run.tokens_per_s,
        "dropped_before_encoder": run.counts.dropped_before,
        "dropped_after_encoder": run.counts.dropped_after,
        **_score(run.score),
        **_percentiles("emission", run.score.late_ms),
    }


def _score(score: EventScore) -> dict[str, Any]:
    return {
        "event_f1": score.f1,
        "events": score.happened,
        "comments": score.comments,
        "comments_right": score.right,
    }


def _measure_still(model: CommentatorModel, plan: Plan) -> dict[str, Any]:
    _say(f"{plan.still_minutes:g} minutes in which nothing happens")
    n = count_comments_on_still_scenes(model, plan.still_minutes)
    return {
        "still_minutes": plan.still_minutes,
        "false_comments": n,
        "false_comments_per_10min": 10 * n / plan.still_minutes,
    }


def measure_file(model: CommentatorModel, minutes: float) -> dict[str, Any]:
    """Memory of `edgestream watch` over a long file, and whether its text goes in circles."""
    with TemporaryDirectory(prefix="edgestream-bench-") as folder:
        video = Path(folder) / "scenes.avi"
        _say(f"writing {minutes:g} minutes of video")
        happenings = write_video(video, minutes)
        _say("edgestream watch --fast on it")
        watched = watch_file(model.folder, video)
    memory, score = Memory(watched.readings), EventScore()
    score.add(watched.comments, happenings)
    return {
        "file_minutes": minutes,
        "rss_mb": memory.most_mb(),
        "rss_1min_mb": memory.at(1),
        "rss_60min_mb": memory.at(60),
        "rss_slope_mb_per_hour": memory.slope_mb_per_hour(),
        "event_f1_stream": score.f1,
        "events_stream": score.happened,
        "circle": most_repeats(_words([c.text for c in watched.comments])),
        "circle_of_events": most_repeats(_words([h.text for h in happenings])),
        "memory_series": {"minute": memory.minutes, "rss_mb": memory.rss_mb},
    }


def _measure_compute(plan: Plan) -> dict[str, Any]:
    _say("a random vision-language model, as a stream and without a state")
    try:
        return compare_with_stateless(plan.compute_s)
    except UsageError as error:
        reason = str(error).removeprefix("bench: ")
        return {f"compute_ratio_{name}": None for name in SCENES} | {"compute_missing": reason}


def _words(lines: Sequence[str]) -> list[str]:
    return " ".join(lines).lower().split()


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """Not a number where there is nothing."""
    known = values if len(values) else [np.nan]
    return {f"{name}_p{p}_ms": float(np.percentile(known, p)) for p in (50, 95)}


def _not_measured(figures: dict[str, Any]) -> list[str]:
    said = ["Scenes are drawn by program; real cameras and rooms were not measured"]
    if figures["quick"]:
        said.append("Quick: few scenes, seconds of a live camera, minutes of a file")
    if "compute_missing" in figures:
        said.append(f"Computing beside the stateless way: {figures['compute_missing']}")
    return said + of_the_machine(figures)


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
