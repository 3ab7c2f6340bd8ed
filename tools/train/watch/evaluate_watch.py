# SPDX-License-Identifier: Apache-2.0
"""Event F1 of a commentator: python evaluate_watch.py MODEL_DIR SCENES [--bias 0] [--every-picture]

SCENES is the path without ending of what make_scenes.py wrote, or a folder of make_videos.py. Runs
what `edgestream watch` runs: resizing, the gates, encoder, ring, silence, novelty. An event counts
as told when a comment of its kind, subject (size and colour) and direction is said within 1.5 s.
Several biases of silence give a line each, and the table of the last.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from event_score import WITHIN_MS, Score
from vocabulary import Event, parse

from edgestream.events import Comment
from edgestream.sources.picture import Picture
from edgestream.vision.commentator.model import CommentatorModel
from edgestream.vision.watch import load_watcher, watch

Said = list[tuple[float, str]]  # ms, words


def model_with(folder: Path, bias: float | None, every_picture: bool) -> CommentatorModel:
    """The folder's model with another bias of silence (None: its own), perhaps without gates."""
    model = load_watcher(folder)
    m = model.manifest
    policy = m.policy if bias is None else dataclasses.replace(m.policy, silence_bias=bias)
    gate = dataclasses.replace(m.gate, min_difference=0.0, max_cosine=1.0, linger_ms=3_600_000)
    model.manifest = dataclasses.replace(m, policy=policy, gate=gate if every_picture else m.gate)
    return model


def streams(model: CommentatorModel, scenes: Path) -> Iterator[tuple[Said, list[Event], float]]:
    """Of each scene what was said, what happened, and its length in ms."""
    videos = sorted(p for p in scenes.glob("*") if p.suffix in (".mp4", ".avi"))
    for video in videos:
        truth = json.loads(video.with_suffix(".json").read_text())
        said = _comments(watch(video, model=model, fast=True))
        yield said, [Event(**e) for e in truth["events"]], truth["n"] * truth["picture_ms"]
    if videos:
        return
    pictures = np.load(scenes.with_suffix(".npy"), mmap_mode="r")
    file = json.loads(scenes.with_suffix(".json").read_text())
    stream, step_ms = model.stream(), file["picture_ms"]
    for scene, truth in zip(pictures, file["scenes"], strict=True):
        stream.reset()
        said = _comments(stream.push(Picture(p, t * step_ms) for t, p in enumerate(scene)))
        yield said, [Event(**e) for e in truth["events"]], len(scene) * step_ms


def _comments(events: Iterable[object]) -> Said:
    return [(e.picture_ms, e.text.lower()) for e in events if isinstance(e, Comment)]


def report(model: CommentatorModel, scenes: Path, show: int) -> Score:
    """Prints the figures of one model."""
    score, n_false, still_ms = Score(), 0, 0.0
    for i, (said, happened, length_ms) in enumerate(streams(model, scenes)):
        told = [parse(text, at_ms) for at_ms, text in said]
        score.add(told, happened, length_ms - WITHIN_MS)
        if not happened:
            n_false += len(said)
            still_ms += length_ms
        if i < show:
            print(f"scene {i}")
            print(*(f"  told {at / 1000:.1f} s: {text}" for at, text in said), sep="\n")
            print(*(f"  true {e.visible_ms / 1000:.1f} s: {e.text}" for e in happened), sep="\n")
    print(
        f"bias {model.manifest.policy.silence_bias:g}: F1 {score.f1:.3f},"
        f" kind and direction {score.f1_but_subject:.3f}; {score.happened.total()} events,"
        f" {score.n_told} comments, {score.garbled} garbled"
    )
    if score.late_ms:
        p50, p95 = np.percentile(score.late_ms, (50, 95))
        print(f"after their event: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
    if still_ms:
        print(f"where nothing happens: {n_false} comments in {still_ms / 60000:.1f} minutes")
    return score


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("model", type=Path)
    options.add_argument("scenes", type=Path)
    options.add_argument("--bias", type=float, nargs="+", default=[None], help="of silence")
    options.add_argument("--every-picture", action="store_true", help="without the gates")
    options.add_argument("--show", type=int, default=0, help="print the first so many scenes")
    args = options.parse_args()
    for bias in args.bias:
        model = model_with(args.model, bias, args.every_picture)
        score = report(model, args.scenes, args.show)
    if score.happened.total():
        print(score.table())


if __name__ == "__main__":
    main()
