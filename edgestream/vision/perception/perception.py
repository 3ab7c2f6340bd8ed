# SPDX-License-Identifier: Apache-2.0
"""The way of a picture: contrast, background, detector where something changed, tracks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgestream.system.opencv import cv2
from edgestream.vision.labels import SOMETHING
from edgestream.vision.perception.background import Background, Blob
from edgestream.vision.perception.border import note_border
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.camera_motion import STILL
from edgestream.vision.perception.colour import main_colour
from edgestream.vision.perception.contrast import Contrast
from edgestream.vision.perception.detector import Detection, Detector
from edgestream.vision.perception.track import Track
from edgestream.vision.perception.tracker import Step, Tracker
from edgestream.vision.perception.view import ANEW, View, ViewChange
from edgestream.vision.zones import Zones

Rgb = NDArray[np.uint8]
SMALL_PX = 208  # longer side in which all but the detector look
SAME_LEVELS = 16.0  # mean difference of a place that looks as it did
PATCH_PX = 16  # size in which places are compared
KEPT_MS = 1500.0  # for which the place of a blob may look the same
STANDING_MS, STANDS = 120_000.0, 0.3  # likewise, where this share of it is not background
FEW_SIGHTS = 2  # pictures, in which a detection may err
LOOK_EVERY_MS = 2000.0  # the detector, while something is there and nothing changes
FIRST_LOOKS = 3  # pictures of a stream in which it looks whatever changes
WAS_FOREGROUND, GONE_FOREGROUND = 0.3, 0.12  # of a box that was seen, and that is empty now
FLOODED = 0.6  # of the pixels that are not background: it is another one


class Sizes:
    """A picture in the sizes that it is looked at: `large` by the detector, if it is asked for."""

    def __init__(self, rgb: Rgb, side_px: int) -> None:
        self._rgb = rgb
        height, width = rgb.shape[:2]
        self.scale = min(1.0, side_px / max(width, height))
        self.width = max(1, round(width * self.scale))
        self.height = max(1, round(height * self.scale))
        half = min(1.0, SMALL_PX / max(width, height))
        self.small = _resized(rgb, max(1, round(width * half)), max(1, round(height * half)))

    @property
    def large(self) -> Rgb:
        """As wide or high as the detector's square."""
        return _resized(self._rgb, self.width, self.height)


@dataclass(slots=True)
class Looked:
    """What a picture showed, boxes in pixels of the picture that was looked at."""

    step: Step
    width: int
    height: int
    scale: float  # of it to the picture of the source
    detections: list[Detection] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)
    ran: int = 0  # times that the detector did
    changes: list[ViewChange] = field(default_factory=list)
    hidden: bool = False  # the lens is covered: nothing is known of anything
    fresh: bool = False  # the view is another one than before: what is there was not seen to come


class Perception:
    """Push pictures, get tracks."""

    def __init__(self, detector: Detector, zones: Zones | None = None) -> None:
        """What lies in a mask of `zones` is not looked at."""
        self.detector = detector
        self._zones = zones
        self.view, self.contrast = View(), Contrast()
        self.background, self.tracker = Background(), Tracker()
        self.reset()

    def reset(self) -> None:
        """The next picture is a first one."""
        self.interrupt()
        self.tracker.reset()

    def interrupt(self) -> None:
        """Pictures were lost: as a reset, but that the numbers of tracks go on."""
        self.view.reset()
        self.contrast.reset()
        self.background.reset()
        self.tracker.forget()
        self._patches: dict[int, Rgb] = {}
        self._looked_ms = -np.inf
        self._looks = 0

    def push(self, rgb: Rgb, time_ms: float) -> Looked:
        """A picture, uint8 [height, width, 3], at five a second or fewer; times rise."""
        picture = Sizes(rgb, self.detector.side_px)
        small, width, height = picture.small, picture.width, picture.height
        changes = self.view.push(small, time_ms)
        fresh = self._disturbed(width, height, changes)
        looked = Looked(Step(time_ms), width, height, picture.scale, changes=changes, fresh=fresh)
        if fresh or self.view.hidden:
            self._wait(time_ms)
        if self.view.hidden:
            looked.hidden = True
            looked.step.alive = list(self.tracker.tracks)
            looked.step.hidden = list(self.tracker.hidden)
            return looked
        if self.contrast.push(small):
            self._relearn()
        seen = self.contrast.apply(small)
        share = small.shape[1] / width
        followed = [t.box for t in self.tracker.tracks if _is_known(t)]
        blobs = self.background.push(seen, share, followed)
        looked.blobs = [b for b in blobs if not self._masked(b.box, width, height)]
        detections, looked.ran = self._detect(picture, looked.blobs, time_ms)
        looked.detections = [d for d in detections if not self._masked(d.box, width, height)]
        looked.step = self.tracker.push(
            looked.detections,
            looked.blobs,
            time_ms,
            lambda track: self._unchanged(track, seen, share, time_ms),
        )
        for track in looked.step.alive:
            if track.seen_ms == time_ms:
                self._note(track, picture, seen, share)
            elif track.kept_ms < time_ms and track.most_foreground > WAS_FOREGROUND:
                places = (track.sights[-1].box, track.predicted(time_ms))
                track.gone = max(map(self.background.covered, places)) < GONE_FOREGROUND
        known = {track.number for track in looked.step.alive}
        self._patches = {n: patch for n, patch in self._patches.items() if n in known}
        return looked

    def _disturbed(self, width: int, height: int, changes: list[ViewChange]) -> bool:
        """Whether the view became another one; then background and patches are none of it."""
        motion = self.view.motion
        if motion != STILL:
            by = np.array([motion.x * width, motion.y * height])
            for track in self.tracker.tracks:
                track.shift(by)
        elsewhere = any(change.kind in ANEW for change in changes)
        if motion == STILL and not elsewhere and self.background.share < FLOODED:
            return False
        self._relearn()
        self.tracker.forget_unknown()
        if elsewhere:
            self.contrast.reset()
        return True

    def _relearn(self) -> None:
        """Whoever is there is part of the new background, so the detector looks at once."""
        self.background.reset()
        self._patches.clear()
        self._looks = 0
        for track in self.tracker.tracks:
            track.most_foreground = 0.0

    def _masked(self, box: Box, width: int, height: int) -> bool:
        """Whether its middle lies where nobody looks."""
        x, y = box.centre
        return self._zones is not None and self._zones.masked(float(x) / width, float(y) / height)

    def _wait(self, time_ms: float) -> None:
        """Nothing can be told of what is followed."""
        for track in self.tracker.tracks:
            track.keep(time_ms)

    def _detect(
        self, picture: Sizes, blobs: list[Blob], time_ms: float
    ) -> tuple[list[Detection], int]:
        """Looks where something changed, and now and then at what stays."""
        moved = any(t.seen_ms > self._looked_ms - 1000 for t in self.tracker.tracks)
        due = time_ms - self._looked_ms >= LOOK_EVERY_MS and moved
        if not blobs and not due and self._looks >= FIRST_LOOKS:
            return [], 0
        self._looked_ms = time_ms
        self._looks += 1
        return self.detector.push(self.contrast.apply(picture.large)), 1

    def _unchanged(self, track: Track, rgb: Rgb, share: float, time_ms: float) -> bool:
        """Whether the place of a track looks as when it was last found there."""
        patch = self._patches.get(track.number)
        if patch is None or track.going_out or time_ms - track.seen_ms > self._kept_ms(track):
            return False
        now = _patch(rgb, track.sights[-1].box.scaled(share, share))
        return float(cv2.absdiff(patch, now).mean()) < SAME_LEVELS

    def _kept_ms(self, track: Track) -> float:
        """For how long its place may look the same: what was detected may stand there for ever."""
        last = track.sights[-1]
        if last.detected:
            return np.inf
        stands = track.told and not track.hung and self.background.covered(last.box) > STANDS
        return STANDING_MS if stands else KEPT_MS

    def _note(self, track: Track, picture: Sizes, rgb: Rgb, share: float) -> None:
        """How a track looks in the picture in which it was found."""
        box, size = track.sights[-1].box, (picture.width, picture.height)
        self._patches[track.number] = _patch(rgb, box.scaled(share, share))
        track.cover(self.background.covered(box))
        track.gone = False
        note_border(track, *size)
        colour = main_colour(_part(rgb, box.scaled(share, share)))
        if colour:
            track.paint(colour)


def _is_known(track: Track) -> bool:
    """Whether it is surely no part of the background."""
    return track.told or (track.label != SOMETHING and track.n_sights > FEW_SIGHTS)


def _resized(rgb: Rgb, width: int, height: int) -> Rgb:
    """Made smaller: by whole numbers first, which is fast and leaves no pixel out."""
    if rgb.shape[:2] == (height, width):
        return rgb
    times = rgb.shape[1] // width
    if times > 1:
        size = (rgb.shape[1] // times, max(1, rgb.shape[0] // times))
        cut = np.ascontiguousarray(rgb[: size[1] * times, : size[0] * times])
        rgb = np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _part(rgb: Rgb, box: Box) -> Rgb:
    height, width = rgb.shape[:2]
    left, top = min(max(0, int(box.left)), width - 1), min(max(0, int(box.top)), height - 1)
    right, bottom = max(left + 1, round(box.right)), max(top + 1, round(box.bottom))
    return rgb[top:bottom, left:right]


def _patch(rgb: Rgb, box: Box) -> Rgb:
    return np.asarray(
        cv2.resize(_part(rgb, box), (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA), np.uint8
    )
