# SPDX-License-Identifier: Apache-2.0
"""Computing for a picture, as a stream and as today's web-camera demos do it.

They take one picture and one prompt, and clear the cache for the next. The same stages do that here
when they are reset before each picture: nothing was seen before it, so all of it is new.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from edgestream.bench.random_vlm import write_vlm
from edgestream.bench.watch.scenes import Scene, Span, Visit, scene
from edgestream.sources.picture import Picture

if TYPE_CHECKING:
    from edgestream.vision.stream import PictureStream

NUMBER = 1 << 23  # of the first scene; no others have these
PICTURES_PER_S = 1.0
BUSY_SCENES = 6  # whose things all move at once
ROOM_S = 60.0  # in which things come and go, however little of it is looked at
WARM_UP = 3  # pictures


@dataclass(slots=True)
class Work:
    """Processor time of one way, after the warm-up."""

    cpu_s: float = 0.0
    pictures: int = 0
    comments: int = 0

    def push(self, stream: PictureStream, picture: Picture, *, counts: bool) -> None:
        """Gives the stream a picture."""
        start_ns = time.process_time_ns()
        events = stream.push(picture)
        if counts:
            self.cpu_s += (time.process_time_ns() - start_ns) / 1e9
            self.pictures += 1
            self.comments += len(events)


def still_scene(seconds: float) -> Scene:
    """Somebody comes by now and then."""
    quiet_ms = (200 * seconds, 400 * seconds)
    made = (scene(n, length_ms=1000 * seconds, quiet_ms=quiet_ms) for n in count(NUMBER))
    return next(each for each in made if each.happenings)


def busy_scene(seconds: float) -> Scene:
    """What happens in several scenes happens at once, without a break."""
    made = [
        scene(NUMBER + i, length_ms=1000 * max(seconds, ROOM_S), quiet_ms=(0.0, 500.0))
        for i in range(1, 1 + BUSY_SCENES)
    ]
    acts: list[Visit | Span] = [a for each in made for a in each.acts if isinstance(a, Visit)]
    return Scene(made[0].world, acts, 1000 * seconds)


SCENES = {"still": still_scene, "busy": busy_scene}


def compare_with_stateless(seconds: float) -> dict[str, Any]:
    """Both ways on both scenes, in turn picture by picture; the ratios are of processor time.

    Raises UsageError where the package that writes the random model is missing.
    """
    from edgestream.vision.vlm.model import VlmModel  # loads libmtmd

    figures: dict[str, Any] = {}
    with TemporaryDirectory(prefix="edgestream-bench-") as folder:
        model = VlmModel(write_vlm(Path(folder)))
        for name, watched in SCENES.items():
            stream, stateless = model.stream(), model.stream()
            works, tower_s = (Work(), Work()), 0.0
            for turn, picture in enumerate(_pictures(watched(seconds))):
                counts = turn >= WARM_UP
                works[0].push(stream, picture, counts=counts)
                stateless.reset()
                works[1].push(stateless, picture, counts=counts)
                start_ns = time.process_time_ns()
                model.tower.push(picture.rgb)
                tower_s += counts * (time.process_time_ns() - start_ns) / 1e9
            figures[f"compute_ratio_{name}"] = works[1].cpu_s / works[0].cpu_s
            figures[f"compute_{name}"] = {
                "pictures": works[0].pictures,
                "stream_ms": 1000 * works[0].cpu_s / works[0].pictures,
                "stateless_ms": 1000 * works[1].cpu_s / works[1].pictures,
                "tower_ms": 1000 * tower_s / works[0].pictures,
                "dropped_before": stream.counts.dropped_before,
                "dropped_after": stream.counts.dropped_after,
            }
    return figures


def _pictures(watched: Scene) -> Iterator[Picture]:
    random = np.random.default_rng(0)
    for turn in range(int(watched.length_ms * PICTURES_PER_S / 1000)):
        time_ms = 1000 * turn / PICTURES_PER_S
        yield Picture(watched.draw(time_ms, random), time_ms)
