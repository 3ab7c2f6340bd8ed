# SPDX-License-Identifier: Apache-2.0
"""The built-in commentator on scenes with movers and backgrounds that it was not trained on.

Figures in full: tools/train/watch/README.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgestream.events import Comment
from edgestream.sources.picture import Picture
from edgestream.vision.watch import load_watcher, watch

TOOLS = Path(__file__).parents[2] / "tools" / "train" / "watch"
N_SCENES, FIRST_SEED = 12, 9_800_000
WORST_F1 = 0.75  # over some sixty events; a broken stage gives less than 0.3
MOST_FALSE = 1  # comments in five minutes where nothing happens


@pytest.fixture(scope="module", autouse=True)
def _tools_on_path():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(TOOLS), *sys.path])
        yield


@pytest.fixture(scope="module")
def model():
    return load_watcher("tiny-watch")


def told_of(events):
    from vocabulary import parse

    return [parse(e.text.lower(), e.picture_ms) for e in events if isinstance(e, Comment)]


def commented(model, pictures):
    from script import PICTURE_MS

    stream = model.stream()
    taken = (Picture(p, t * PICTURE_MS) for t, p in enumerate(pictures))
    return told_of(stream.push(taken) + stream.finish())


def test_what_happens_in_held_out_scenes_is_told(model) -> None:
    from event_score import WITHIN_MS, Score
    from make_scenes import scene
    from script import PICTURE_MS
    from vocabulary import Event

    score = Score()
    for seed in range(FIRST_SEED, FIRST_SEED + N_SCENES):
        pictures, truth = scene(seed, "held-out", 100, photographs=False)
        happened = [Event(**e) for e in truth["events"]]
        score.add(commented(model, pictures), happened, len(pictures) * PICTURE_MS - WITHIN_MS)
    assert score.happened.total() > 40
    assert score.garbled == 0
    assert score.f1 >= WORST_F1
    assert np.percentile(score.late_ms, 50) <= 800


def test_noise_is_not_commented_on(model) -> None:
    from make_scenes import scene

    n_told = 0
    for seed in range(5):
        pictures, _ = scene(seed, "held-out", 300, still=True, photographs=False)
        n_told += len(commented(model, pictures))
    assert n_told <= MOST_FALSE


@pytest.mark.parametrize(("size", "fps"), [((256, 192), 15), ((320, 180), 12)])
def test_a_video_of_another_size_and_rate_is_told_as_well(model, tmp_path, size, fps) -> None:
    from draw import Frame
    from event_score import WITHIN_MS, Score
    from make_videos import write_video
    from script import PICTURE_MS, Script

    score = Score()
    for seed in range(2):
        script = Script(80, np.random.default_rng(FIRST_SEED + seed)).write()
        path = tmp_path / f"{seed}.avi"
        write_video(
            path, script, "held-out", Frame(*size), fps=fps, codec="MJPG", photographs=False
        )
        told = told_of(watch(path, model=model, fast=True))
        score.add(told, script.events, script.n * PICTURE_MS - WITHIN_MS)
    assert score.happened.total() >= 8
    assert score.f1_but_subject >= 0.7
