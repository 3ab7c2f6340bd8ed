# SPDX-License-Identifier: Apache-2.0
"""Real clips for figures: python real_clips.py DETECTOR.onnx TRUTH.json OUT.pickle

TRUTH.json lies beside the clips and has their events: [second, kind, side or direction]. What the
detector finds in every picture is kept, so that trackers and tellers can be tried without it.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sim_thing import Happened
from sim_view import PICTURE_MS

from edgestream.vision.perception.contrast import Contrast
from edgestream.vision.perception.detector import Detection, Detector, DetectorWeights
from edgestream.vision.perception.perception import Looked, Perception

MIN_SCORE = 0.2


@dataclass
class Clip:
    """Pictures as perception sees them, and what the detector finds in each."""

    name: str
    pictures: list[NDArray[np.uint8]]
    times_ms: list[float]
    found: list[list[Detection]]
    side_px: int
    events: list[Happened]

    def __iter__(self) -> Iterator[Looked]:
        detector = _Kept(self)
        perception = Perception(detector)  # type: ignore[arg-type]
        for i, (rgb, time_ms) in enumerate(zip(self.pictures, self.times_ms, strict=True)):
            detector.now = i
            yield perception.push(rgb, time_ms)


class _Kept:
    """A detector that remembers."""

    def __init__(self, clip: Clip) -> None:
        self.side_px, self.now, self._found = clip.side_px, 0, clip.found

    def push(self, _: NDArray[np.uint8]) -> list[Detection]:
        return self._found[self.now]


def watched(path: Path, weights: DetectorWeights, truth: list[list[Any]]) -> Clip:
    """A clip at five pictures a second, all of them looked at."""
    detector, contrast = Detector(weights, min_score=MIN_SCORE), Contrast()
    clip = Clip(path.name, [], [], [], detector.side_px, _events(truth))
    capture, n, last = cv2.VideoCapture(str(path)), 0, -1
    rate = capture.get(cv2.CAP_PROP_FPS)
    while True:
        got, bgr = capture.read()
        if not got:
            return clip
        time_ms, n = 1000 * n / rate, n + 1
        if int(time_ms / PICTURE_MS + 1e-6) == last:
            continue
        last = int(time_ms / PICTURE_MS + 1e-6)
        scale = min(1.0, detector.side_px / max(bgr.shape[:2]))
        size = (round(bgr.shape[1] * scale), round(bgr.shape[0] * scale))
        rgb = bgr[:, :, ::-1].copy()
        if scale < 1:
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        clip.pictures.append(rgb)
        clip.times_ms.append(time_ms)
        clip.found.append(detector.push(contrast.push(rgb)))


def _events(truth: list[list[Any]]) -> list[Happened]:
    """As those of simulated scenes; nobody says which thing it was."""
    return [
        Happened(1000 * second, 1000 * second, kind, (side[0] if side else "",), 0)
        for second, kind, *side in truth
    ]


def load_clips(path: Path) -> list[Clip]:
    """What `main` wrote."""
    clips: list[Clip] = pickle.loads(path.read_bytes())
    return clips


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("detector", type=Path)
    options.add_argument("truth", type=Path)
    options.add_argument("out", type=Path)
    args = options.parse_args()
    weights = DetectorWeights(args.detector)
    truths = json.loads(args.truth.read_text())
    clips = [watched(args.truth.parent / name, weights, truths[name]) for name in truths]
    args.out.write_bytes(pickle.dumps(clips))


if __name__ == "__main__":
    import real_clips  # so that what is written knows its module

    real_clips.main()
