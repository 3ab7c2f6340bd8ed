# SPDX-License-Identifier: Apache-2.0
"""`edgestream bench watch`: commentary on drawn scenes, live and from files, and on real clips."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgestream.bench.machine import describe, of_the_machine, one_core
from edgestream.bench.process import Memory
from edgestream.bench.watch.clips import Clip, read_clips
from edgestream.bench.watch.event_score import (
    EventScore,
    event_in_a_word,
    in_a_word,
    most_repeats,
)
from edgestream.bench.watch.glass import CAMERA_FPS, watch_glass
from edgestream.bench.watch.real import (
    PIXELS,
    count_still_comments,
    still_core_shares,
    watch_clips,
    watchers,
)
from edgestream.bench.watch.runs import comment_on_scenes, watch_file, write_video
from edgestream.bench.watch.scenes import SCENE_MS, scene
from edgestream.bench.watch.stateless import SCENES, compare_with_stateless
from edgestream.errors import UsageError
from edgestream.vision.commentator.model import CommentatorModel
from edgestream.vision.tracked.model import TrackWatcher
from edgestream.vision.watch import load_watcher
from edgestream.vision.watcher import Watcher

LIVE_SCENES = range(1 << 21, (1 << 21) + 24)  # numbers that no other scene has


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    n_scenes: int
    still_minutes: float
    file_minutes: float
    live_s: float
    compute_s: float  # of each kind of scene
    clip_s: float  # of each clip
    still_cpu_s: float


FULL = Plan(60, 10.0, file_minutes=61.0, live_s=60.0, compute_s=60.0, clip_s=inf, still_cpu_s=60.0)
QUICK = Plan(12, 1.0, file_minutes=2.4, live_s=12.0, compute_s=14.0, clip_s=30.0, still_cpu_s=10.0)


def measure(model_name: str, clips: Path | None, *, quick: bool) -> dict[str, Any]:
    """All figures, by the names that the JSON has.

    `clips`: a folder of videos with truth.json. Raises EdgestreamError if it or the model cannot
    be used.
    """
    plan = QUICK if quick else FULL
    model = load_watcher(model_name)
    if not isinstance(model, (CommentatorModel, TrackWatcher)):
        raise UsageError(
            f"{model_name}: its comments have no fields to score; bench watch measures models of"
            " the families of nano-watch and tiny-watch"
        )
    real = read_clips(clips, plan.clip_s) if clips else []
    figures = describe(model) | {"quick": quick}
    figures |= _measure_live(model, plan)
    with one_core() as pinned:
        figures |= {"one_core": pinned} | _measure_events(model, plan)
        figures |= _measure_real(model, real, plan)
    figures |= measure_file(model, plan.file_minutes) | _measure_compute(plan)
    return figures | {"not_measured": _not_measured(figures)}


def _measure_live(model: Watcher, plan: Plan) -> dict[str, Any]:
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


def _measure_events(model: Watcher, plan: Plan) -> dict[str, Any]:
    _say(f"{plan.n_scenes} scenes of {SCENE_MS / 1000:g} s")
    run = comment_on_scenes(model, plan.n_scenes)
    pixels = comment_on_scenes(load_watcher(PIXELS), plan.n_scenes)
    return {
        "fps": run.counts.pictures / run.compute_s,
        "fps_cpu": run.counts.pictures / run.cpu_s,
        "tokens_per_s": run.tokens_per_s,
        "dropped_before_encoder": run.counts.dropped_before,
        "dropped_after_encoder": run.counts.dropped_after,
        **_score(run.score),
        "event_f1_pixels": pixels.score.f1,
        "fps_cpu_pixels": pixels.counts.pictures / pixels.cpu_s,
        **_percentiles("emission", run.score.late_ms),
    }


def _score(score: EventScore) -> dict[str, Any]:
    return {
        "event_f1": score.f1,
        "events": score.happened,
        "comments": score.comments,
        "comments_right": score.right,
    }


def _measure_real(model: Watcher, clips: Sequence[Clip], plan: Plan) -> dict[str, Any]:
    """Clips, and minutes in which nothing happens, of the three watchers in turn."""
    streams = watchers(model)
    figures: dict[str, Any] = {}
    if clips:
        _say(f"{len(clips)} real clips, as they are and in a tenth of the light")
        figures["clips"] = {
            "names": [clip.path.name for clip in clips],
            "watchers": watch_clips(streams, clips),
        }
        for name, share in still_core_shares(streams, clips, plan.still_cpu_s).items():
            figures["clips"]["watchers"][name]["core_share_still"] = share
    _say(f"{plan.still_minutes:g} minutes in which nothing happens")
    counts = count_still_comments(streams, clips, plan.still_minutes)
    n = counts[model.manifest.name]
    return figures | {
        "still_minutes": plan.still_minutes,
        "still_of": "photographs" if clips else "drawn scenes",
        "still_comments": counts,
        "false_comments": n,
        "false_comments_per_10min": 10 * n / plan.still_minutes,
    }


def measure_file(model: Watcher, minutes: float) -> dict[str, Any]:
    """Memory of `edgestream watch` over a long file, and whether it goes in circles."""
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
        "circle": most_repeats([in_a_word(c) for c in watched.comments]),
        "circle_of_events": most_repeats([event_in_a_word(h) for h in happenings]),
        "memory_series": {"minute": memory.minutes, "rss_mb": memory.rss_mb},
    }


def _measure_compute(plan: Plan) -> dict[str, Any]:
    _say("a random vision-language model, as a stream and without a state")
    try:
        return compare_with_stateless(plan.compute_s)
    except UsageError as error:
        reason = str(error).removeprefix("bench: ")
        return {f"compute_ratio_{name}": None for name in SCENES} | {"compute_missing": reason}


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float]:
    """Not a number where there is nothing."""
    known = values if len(values) else [np.nan]
    return {f"{name}_p{p}_ms": float(np.percentile(known, p)) for p in (50, 95)}


def _not_measured(figures: dict[str, Any]) -> list[str]:
    said = ["Scenes, the live camera and the long file are drawn by program"]
    if "clips" not in figures:
        said.append("Real clips: give a folder of videos with --clips (docs/benchmarks.md)")
    if figures["quick"]:
        said.append("Quick: few scenes, seconds of clips and a live camera, minutes of a file")
    if "compute_missing" in figures:
        said.append(f"Computing beside the stateless way: {figures['compute_missing']}")
    return said + of_the_machine(figures)


def _say(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)
