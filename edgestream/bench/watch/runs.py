# SPDX-License-Identifier: Apache-2.0
"""Runs commentary under measurement: speed, events, memory of the command itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgestream.bench.process import Reading, read_process
from edgestream.bench.watch.event_score import EventScore, Happened
from edgestream.bench.watch.scenes import HEIGHT, SCENE_MS, WIDTH, scene
from edgestream.errors import OperationError
from edgestream.events import Comment, Event, Happening
from edgestream.system.opencv import cv2
from edgestream.vision.stages import Counts

if TYPE_CHECKING:
    from edgestream.vision.watcher import Watcher

FILE_FPS = 5.0
READ_EVERY_MINUTES = 0.5


@dataclass(slots=True)
class SceneRun:
    """What a stream of scenes gave."""

    score: EventScore = field(default_factory=EventScore)
    counts: Counts = field(default_factory=Counts)
    compute_s: float = 0.0
    cpu_s: float = 0.0
    tokens_per_s: float = 0.0


def comment_on_scenes(model: Watcher, n_scenes: int) -> SceneRun:
    """Each scene as a stream of its own, on pictures that are drawn before the clock runs."""
    run, stream = SceneRun(), model.stream()
    n_tokens, write_ms = 0, 0.0
    for number in range(n_scenes):
        made = scene(number)
        pictures = list(made.pictures(FILE_FPS, seed=number))
        stream.reset()
        cpu_ns, start_ns = time.process_time_ns(), time.perf_counter_ns()
        events: list[Event] = []
        for picture in pictures:
            events += stream.push(picture)
            cost = stream.commentator.cost
            n_tokens += cost.n_tokens
            write_ms += cost.write_ms if cost.n_tokens else 0.0
        events += stream.finish()
        run.compute_s += (time.perf_counter_ns() - start_ns) / 1e9
        run.cpu_s += (time.process_time_ns() - cpu_ns) / 1e9
        run.score.add([e for e in events if isinstance(e, Comment)], made.happenings)
        _add(run.counts, stream.counts)
    run.tokens_per_s = 1000 * n_tokens / write_ms if n_tokens else 0.0
    return run


def _add(total: Counts, some: Counts) -> None:
    for each in fields(Counts):
        setattr(total, each.name, getattr(total, each.name) + getattr(some, each.name))


def write_video(path: Path, minutes: float) -> list[Happened]:
    """Scenes after each other as a video file of Motion JPEG; what happens in them."""
    happenings: list[Happened] = []
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, FILE_FPS, (WIDTH, HEIGHT))
    if not writer.isOpened():
        raise OperationError(f"bench: {path} cannot be written by this OpenCV")
    for number in range(max(1, round(60_000 * minutes / SCENE_MS))):
        made, start_ms = scene(number), number * SCENE_MS
        for picture in made.pictures(FILE_FPS, seed=number):
            writer.write(cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2BGR))
        for happening in made.happenings:
            later_ms = start_ms + happening.visible_ms
            happenings.append(replace(happening, visible_ms=later_ms))
    writer.release()
    return happenings


@dataclass(slots=True)
class WatchedFile:
    """What `edgestream watch --fast` wrote on a file, and what it used meanwhile."""

    comments: list[Comment] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)  # by the minute of the video
    stats: str = ""  # as --stats tells them


def watch_file(model: Path, video: Path) -> WatchedFile:
    """The command itself as a process; its memory is read whenever it has said something.

    Raises OperationError with what it said if it failed.
    """
    watched, next_minute = WatchedFile(), 0.0
    command = [sys.executable, "-m", "edgestream", "watch", str(video), "--fast", "--stats"]
    command += ["-m", str(model.resolve()), "--format", "jsonl"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[3],  # so that it imports this very package
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for comment in _comments(process.stdout):
            watched.comments.append(comment)
            minute = comment.picture_ms / 60_000
            if minute >= next_minute and sys.platform == "linux":
                next_minute = minute + READ_EVERY_MINUTES
                reading = read_process(process.pid, minute)
                watched.readings += [reading] if reading.rss_mb else []  # it may have ended
        said = process.stderr.read().decode(errors="replace").strip()
        if process.wait() != 0:
            raise OperationError(f"bench: edgestream watch ended early: {said}")
        watched.stats = said
    return watched


def _comments(lines: Iterator[bytes]) -> Iterator[Comment]:
    for line in lines:
        record = json.loads(line)
        if record["type"] == "final":
            what = None
            if "kind" in record:
                what = Happening(record["kind"], record.get("side"), record.get("direction"))
            yield Comment.of(record["text"], record["picture_ms"], what, record["start_ms"])
