# SPDX-License-Identifier: Apache-2.0
"""A detector of things in a picture: YOLOX (Ge et al. 2021, arXiv 2107.08430), raw output."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import ModelError, computing
from edgestream.onnx.session import open_session
from edgestream.system.opencv import cv2
from edgestream.vision.labels import ANIMAL, BICYCLE, PERSON, VEHICLE
from edgestream.vision.perception.boxes import Box, inside, iou

# Numbers of COCO's 80 classes; a motor cycle, a car, a bus, a train and a truck are vehicles.
OF_COCO = {0: PERSON, 1: BICYCLE} | dict.fromkeys((2, 3, 5, 6, 7), VEHICLE)
OF_COCO |= dict.fromkeys(range(14, 24), ANIMAL)
N_COCO = 80
STRIDES = (8, 16, 32)  # pixels from one place of a grid to the next
PAPER = 114  # the grey around a picture that is no square, as in training
MAX_SAME = 0.5  # share of two boxes in common, above which they are one thing
MOSTLY = 0.7  # of a box in another


class Detection(NamedTuple):
    """A thing in a picture: its box in pixels, its class (one of LABELS), and how sure that is."""

    box: Box
    label: str
    score: float


class DetectorWeights:
    """The detector's graph, loaded once; may be shared between threads."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError when the file is damaged or gives something else."""
        self.session = open_session(path)
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        fits = len(shape) == 4 and shape[:2] == [1, 3] and shape[2] == shape[3]
        if not fits or not isinstance(shape[2], int) or shape[2] % STRIDES[-1] or shape[2] > 4096:
            raise ModelError(f"{path}: a detector takes one square picture [1, 3, side, side]")
        self.side_px: int = shape[2]
        self.places, self.strides = _grid(self.side_px)
        expected = [1, len(self.places), 5 + N_COCO]
        if len(outputs) != 1 or outputs[0].shape != expected:
            raise ModelError(f"{path}: a detector gives {expected}, the raw output of YOLOX")
        self.input_name = inputs[0].name


class Detector:
    """Finds people, bicycles, vehicles and animals."""

    def __init__(self, weights: DetectorWeights, *, min_score: float) -> None:
        self._weights = weights
        self._min_score = min_score

    @property
    def side_px(self) -> int:
        """Of the square that it looks at; pictures are made to fit."""
        return self._weights.side_px

    def push(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        """The things in uint8 [height, width, 3], boxes in its pixels, the surest first."""
        square, scale = self._fitted(rgb)
        with computing():
            raw = self._weights.session.run(None, {self._weights.input_name: square})[0][0]
        scores = raw[:, 4:5] * raw[:, 5:][:, list(OF_COCO)]
        best = scores.max(1)
        kept = np.flatnonzero(best >= self._min_score)
        if not len(kept):
            return []
        places, strides = self._weights.places[kept], self._weights.strides[kept]
        middle = (raw[kept, :2] + places) * strides / scale
        half = np.exp(np.minimum(raw[kept, 2:4], 10.0)) * strides / scale / 2
        corners = np.concatenate([middle - half, middle + half], 1)
        labels = [list(OF_COCO.values())[i] for i in scores[kept].argmax(1)]
        height, width = rgb.shape[:2]
        found = [
            Detection(Box(*map(float, corners[i])).within(width, height), labels[i], float(score))
            for i, score in enumerate(best[kept])
        ]
        return one_each(sorted(found, key=lambda detection: -detection.score))

    def _fitted(self, rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """The picture in the upper left of the square, BGR, [1, 3, side, side]; and its scale."""
        height, width = rgb.shape[:2]
        scale = min(self.side_px / width, self.side_px / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = rgb if size == (width, height) else cv2.resize(rgb, size)
        square = np.full((1, 3, self.side_px, self.side_px), PAPER, np.float32)
        square[0, :, : size[1], : size[0]] = small[:, :, ::-1].transpose(2, 0, 1)
        return square, scale


def one_each(found: list[Detection]) -> list[Detection]:
    """Of detections of one thing the surest; they come surest first."""
    kept: list[Detection] = []
    for each in found:
        if not any(_same(each, other) for other in kept):
            kept.append(each)
    return kept


def _same(one: Detection, other: Detection) -> bool:
    """Whether two detections are of one thing: a person's legs are no animal beside the person."""
    if iou(one.box, other.box) > MAX_SAME:
        return True
    alive = {one.label, other.label} <= {PERSON, ANIMAL}
    return alive and one.label != other.label and inside(one.box, other.box) > MOSTLY


def _grid(side_px: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Place [n, 2] and stride [n, 1] of each row of the output."""
    places, strides = [], []
    for stride in STRIDES:
        n = side_px // stride
        y, x = np.mgrid[:n, :n]
        places.append(np.stack([x, y], -1).reshape(-1, 2).astype(np.float64))
        strides.append(np.full((n * n, 1), float(stride)))
    return np.concatenate(places), np.concatenate(strides)
