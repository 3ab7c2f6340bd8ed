# SPDX-License-Identifier: Apache-2.0
"""What happens to the view as a whole: light, lens, camera, cut. All of it is computed."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgestream.system.opencv import cv2
from edgestream.vision.perception.camera_motion import STILL, Motion, camera_motion

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]
CAMERA_MOVES, SHAKES, ZOOMS, CUT = "camera-moves", "camera-shakes", "camera-zooms", "cut"
LIGHT_ON, LIGHT_OFF, DARKER, BRIGHTER = "light-on", "light-off", "darker", "brighter"
INFRARED_ON, INFRARED_OFF = "infrared-on", "infrared-off"
COVERED, CLEAR, BLURRED, SHARP = "covered", "clear", "out-of-focus", "in-focus"

WIDTH_PX = 160  # in which motion and sharpness are looked at
CELLS = (16, 9)  # columns and rows in which light is compared
SETTLED = 2  # pictures that look alike, until a change is over
MAX_CHANGING = 10  # pictures; a change that goes on longer is what there is now
STEP_LEVELS = 4.0  # of a cell from one picture to the next, with which it changed
ALL_OVER, SOME = 0.5, 0.12  # of the cells, that change with the view; that a moved camera changes
SAME_STRUCTURE = 0.6  # correlation of two pictures of one place
LIGHT_RATIO = 1.45  # between two lights
COVERED_RATIO = 0.04  # of the light before, in which nothing could be seen
FLAT = 0.25  # of the contrast before, that a covered lens leaves
# After these the picture is another one: background, contrast and sharpness begin anew.
ANEW = (CUT, CLEAR, CAMERA_MOVES, LIGHT_ON, LIGHT_OFF, INFRARED_ON, INFRARED_OFF)
SEEING = 25  # pictures in a row with something in them, of a lens that is not covered
MIN_CONTRAST = 3.0  # levels between cells, below which nothing is seen
MOVED = 0.035  # of the picture, that a camera moved
ZOOMED = 1.06
SHAKE_STEP, SHAKE_TURNS = 0.008, 3  # of the picture, and times it goes back, within SHAKE_MS
SHAKE_MS = 2000.0
QUIET_MS = 1500.0  # after a camera moved, until it is told again
GREY_CHROMA, COLOUR_CHROMA = 0.025, 0.09  # of the light, below and above which a chroma is sure
LIKE, EVERYWHERE, CUT_PICTURES = 0.3, 0.65, 2  # below, above and within which another place is seen
TREMBLE = 0.012  # of the picture, that is no motion
SLOW_RATIO = 1.6  # of light that changes bit by bit
BLUR_RATIO, BLUR_PICTURES = 0.4, 4  # of sharpness, and pictures in which it lasts


class ViewChange(NamedTuple):
    """`kind`, one of the above; when it began; where to the camera moved."""

    kind: str
    time_ms: float
    direction: str | None = None


class Look(NamedTuple):
    """A picture in numbers."""

    time_ms: float
    grey: Grey  # [height, WIDTH_PX]
    cells: Floats  # light of CELLS, row by row
    light: float
    contrast: float  # spread of the cells' light
    chroma: float
    sharpness: float


class View:
    """Push pictures, get what happened to the view.

    A change is told when two pictures in a row look alike again: then what is seen now is compared
    with what was seen before. Motion of the camera is told while it lasts.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The next picture is a first one."""
        self.motion: Motion = STILL  # of the newest picture
        self._before: Look | None = None  # settled
        self._last: Look | None = None
        self._n_alike = self._n_changing = 0
        self._began_ms = 0.0
        self._way: deque[tuple[float, Motion]] = deque()
        self._told_move_ms = -np.inf
        self._hidden: Look | None = None  # what was seen before the lens was covered
        self._n_seeing = 0  # pictures in a row with something in them, while it is
        self._grey: bool | None = None  # has no colours
        self._slow: Look | None = None
        self._sharp = 0.0  # usual sharpness
        self._n_blurred = 0
        self._blurred = False

    @property
    def hidden(self) -> bool:
        """Whether the lens is covered."""
        return self._hidden is not None

    def push(self, rgb: NDArray[np.uint8], time_ms: float) -> list[ViewChange]:
        """What is known by this picture, uint8 [height, width, 3]."""
        look, last = _look(rgb, time_ms), self._last
        self._last = look
        if last is None or self._before is None:
            self._before = self._slow = look
            self._sharp, self._grey = look.sharpness, _is_grey(look, None)
            return []
        share = _changed(look, last)
        found = self._move(look, last) if share > SOME else []
        if share <= SOME:
            self.motion = STILL
        if share > ALL_OVER or self.motion != STILL:
            self._n_alike = 0
            self._began_ms = time_ms if not self._n_changing else self._began_ms
            self._n_changing += 1
        else:
            self._n_alike += 1
        if self._n_changing and (self._n_alike >= SETTLED or self._n_changing > MAX_CHANGING):
            found += self._settle(look)
        elif not self._n_changing:
            found += self._rest(look)
        return found

    def _move(self, look: Look, last: Look) -> list[ViewChange]:
        """Whether the camera moved since the last picture."""
        motion = camera_motion(last.grey, look.grey)
        self.motion = motion if motion is not None and _is_motion(motion) else STILL
        if self.motion == STILL:
            return []
        assert motion is not None
        self._way.append((look.time_ms, motion))
        while look.time_ms - self._way[0][0] > SHAKE_MS:
            self._way.popleft()
        kind, direction = self._camera()
        if kind is None or look.time_ms - self._told_move_ms < QUIET_MS:
            if kind is not None:
                self._told_move_ms = look.time_ms
            return []
        self._told_move_ms = look.time_ms
        return [ViewChange(kind, self._way[0][0], direction)]

    def _camera(self) -> tuple[str | None, str | None]:
        """What the last motions together are."""
        steps = np.array([(m.x, m.y) for _, m in self._way])
        total = steps.sum(0)
        zoom = float(np.prod([m.zoom for _, m in self._way]))
        big = steps[np.abs(steps).max(1) > SHAKE_STEP]
        axis = int(np.abs(steps).sum(0).argmax())
        turns = int((np.diff(np.sign(big[:, axis])) != 0).sum()) if len(big) > 1 else 0
        if turns >= SHAKE_TURNS:
            return SHAKES, None
        if max(zoom, 1 / zoom) > ZOOMED and np.abs(total).max() < MOVED:
            return ZOOMS, "in" if zoom > 1 else "out"
        if np.abs(total).max() > MOVED:  # the camera goes against what it shows
            x, y = -total
            if abs(x) >= abs(y):
                return CAMERA_MOVES, "right" if x > 0 else "left"
            return CAMERA_MOVES, "bottom" if y > 0 else "top"
        return None, None

    def _settle(self, look: Look) -> list[ViewChange]:
        """What is seen now, beside what was seen before the change."""
        before, self._before = self._before, look
        assert before is not None
        self._slow = look
        n_changing, self._n_changing = self._n_changing, 0
        seen = look.contrast > MIN_CONTRAST
        if look.time_ms - self._told_move_ms < QUIET_MS and seen:  # that was all
            kind, self._hidden = CLEAR if self._hidden else None, None
            self._look_anew(look)
        else:
            kind = self._uncover(look) if self._hidden else self._kind(before, look, n_changing)
        if kind in ANEW:
            self._look_anew(look)
        return [ViewChange(kind, self._began_ms)] if kind else []

    def _look_anew(self, look: Look) -> None:
        """Another place, or another light, has a sharpness of its own."""
        self._sharp, self._blurred, self._n_blurred = look.sharpness, False, 0

    def _kind(self, before: Look, look: Look, n_changing: int) -> str | None:
        ratio = (look.light + 1) / (before.light + 1)
        alike = _alike(before, look)
        flat = look.contrast < max(MIN_CONTRAST, FLAT * before.contrast)
        black = ratio < COVERED_RATIO
        if before.contrast > MIN_CONTRAST and (black or (flat and alike < SAME_STRUCTURE)):
            self._hidden = before
            return COVERED
        was_grey, self._grey = self._grey, _is_grey(look, self._grey)
        if (
            None not in (self._grey, was_grey)
            and self._grey != was_grey
            and alike > LIKE
            and ratio > 0.5
        ):
            return INFRARED_ON if self._grey else INFRARED_OFF
        if alike > SAME_STRUCTURE:
            return _light(before, look, ratio)
        if before.contrast < MIN_CONTRAST:  # nothing was to be seen
            return LIGHT_ON if ratio > LIGHT_RATIO else None
        everywhere = float((np.abs(look.cells - before.cells) > 2 * STEP_LEVELS).mean())
        if everywhere < EVERYWHERE or alike > LIKE:
            return None
        return CUT if n_changing <= CUT_PICTURES else CAMERA_MOVES

    def _uncover(self, look: Look) -> str | None:
        hidden = self._hidden
        assert hidden is not None
        if look.contrast > max(MIN_CONTRAST, 0.5 * hidden.contrast):
            self._hidden = None
            return CLEAR
        return None

    def _uncover_slowly(self, look: Look) -> list[ViewChange]:
        """Nothing changed at once; but what is seen for long is no cover."""
        assert self._hidden is not None
        same = _alike(self._hidden, look) > SAME_STRUCTURE and look.contrast > MIN_CONTRAST / 2
        seeing = same or look.contrast > 2 * MIN_CONTRAST
        self._n_seeing = self._n_seeing + 1 if seeing else 0
        kind = self._uncover(look)
        if kind is None and self._n_seeing > SEEING:
            self._hidden, kind = None, CLEAR
        if kind is None:
            return []
        self._n_seeing, self._slow = 0, look
        return [ViewChange(kind, look.time_ms)]

    def _rest(self, look: Look) -> list[ViewChange]:
        """Nothing changes at once: slow light, and focus."""
        assert self._slow is not None
        self._before = look
        if self._hidden is not None:
            return self._uncover_slowly(look)
        found = []
        ratio = (look.light + 1) / (self._slow.light + 1)
        if max(ratio, 1 / ratio) > SLOW_RATIO:
            found.append(ViewChange(BRIGHTER if ratio > 1 else DARKER, look.time_ms))
            self._slow = look
        return found + self._focus(look)

    def _focus(self, look: Look) -> list[ViewChange]:
        blurred = look.sharpness < BLUR_RATIO * self._sharp and self._hidden is None
        if not blurred and not self._blurred:
            self._sharp += 0.02 * (look.sharpness - self._sharp)
        self._n_blurred = self._n_blurred + 1 if blurred != self._blurred else 0
        if self._n_blurred < BLUR_PICTURES:
            return []
        self._blurred, self._n_blurred = blurred, 0
        return [ViewChange(BLURRED if blurred else SHARP, look.time_ms)]


def _is_motion(motion: Motion) -> bool:
    """Whether it is more than trembling."""
    return max(abs(motion.x), abs(motion.y), abs(motion.zoom - 1)) > TREMBLE


def _is_grey(look: Look, before: bool | None) -> bool | None:
    """Whether a picture has no colours, as of an infrared camera; as before where it has few."""
    chroma = look.chroma / (look.light + 8)
    return True if chroma < GREY_CHROMA else False if chroma > COLOUR_CHROMA else before


def _light(before: Look, look: Look, ratio: float) -> str | None:
    """Of one place in two lights."""
    cells = (look.cells + 1) / (before.cells + 1)
    if ratio > LIGHT_RATIO and float((cells > 1.15).mean()) > 0.7:
        return LIGHT_ON
    if ratio < 1 / LIGHT_RATIO and float((cells < 1 / 1.15).mean()) > 0.7:
        return LIGHT_OFF
    return None


def _look(rgb: NDArray[np.uint8], time_ms: float) -> Look:
    height, width = rgb.shape[:2]
    size = (WIDTH_PX, max(16, round(WIDTH_PX * height / width)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    cells = cv2.resize(grey.astype(np.float32), CELLS, interpolation=cv2.INTER_AREA)
    tiny = cv2.resize(small, CELLS, interpolation=cv2.INTER_AREA)
    chroma = float((tiny.max(2).astype(int) - tiny.min(2)).mean())
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    sharpness = float(cv2.Laplacian(smooth, cv2.CV_32F).std()) / (1 + float(grey.std()))
    return Look(
        time_ms, grey, np.asarray(cells, np.float32), float(cells.mean()), float(cells.std()),
        chroma, sharpness,
    )  # fmt: skip


def _changed(one: Look, other: Look) -> float:
    """The share of the cells that differ."""
    return float((np.abs(one.cells - other.cells) > STEP_LEVELS).mean())


def _alike(one: Look, other: Look) -> float:
    """Correlation of the structure of two pictures, whatever their light; 1 where it is one."""
    a, b = one.cells - one.light, other.cells - other.light
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))
