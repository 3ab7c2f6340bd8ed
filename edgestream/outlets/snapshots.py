# SPDX-License-Identifier: Apache-2.0
"""A picture as JPEG for each comment, the thing that it tells of in a box; old ones make way."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgestream.errors import UsageError
from edgestream.events import Comment, Event, Happening
from edgestream.outlets.boxes import OUTLINE, colour_of, line_px, name_of, text_px
from edgestream.sources.picture import Picture
from edgestream.system.opencv import cv2
from edgestream.system.process import tell

USUAL_MAX = 1000  # pictures in the folder
MAX_BYTES = 2 << 30  # of all of them
KEPT_BYTES = 64 << 20  # of the newest pictures in memory: a comment may be on an earlier one
QUALITY = 90  # of 100
OURS = re.compile(r"watch_([\d-]+_)?[\d-]+\.\d{3}_[a-z-]+(_[a-z-]+)?(_\d+)?\.jpg(\.part)?")
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_PX = 22  # height of its capitals at scale 1

Rgb = NDArray[np.uint8]  # [height, width, 3]


class Snapshots:
    """Writes `watch_2026-05-04_14-03-22.500_enters_person.jpg` into a folder, which it makes.

    By name they are in the order of time. A file is there whole or not at all. There are never more
    than `max_pictures` of them, nor MAX_BYTES: the oldest go, those of earlier runs too, and no
    file of another name. What cannot be written is told once, and once when it works again.

    Raises:
        UsageError: `folder` is no folder, or `max_pictures` less than one.
    """

    def __init__(self, folder: Path, max_pictures: int = USUAL_MAX) -> None:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--snapshots {folder}: is no folder; give one, or a new name")
        if max_pictures < 1:
            raise UsageError(f"--snapshots-max is {max_pictures}; it must be 1 or more")
        self._folder = folder
        self._max_pictures = max_pictures
        self._newest: deque[Picture] = deque()
        self._failing = False

    def push(self, events: Iterable[Event], newest: object) -> None:
        """Writes a picture for each Comment; `newest` is what the source gave last."""
        if isinstance(newest, Picture) and not (self._newest and self._newest[-1] is newest):
            self._keep(newest)
        for event in events:
            if isinstance(event, Comment) and self._newest:
                self._save(event)

    def finish(self) -> None:
        """Nothing waits."""

    def _keep(self, picture: Picture) -> None:
        self._newest.append(picture)
        n_bytes = sum(kept.rgb.nbytes for kept in self._newest)
        while n_bytes > KEPT_BYTES and len(self._newest) > 1:
            n_bytes -= self._newest.popleft().rgb.nbytes

    def _save(self, comment: Comment) -> None:
        picture = min(self._newest, key=lambda kept: abs(kept.time_ms - comment.picture_ms))
        rgb = boxed(picture.rgb, comment.happening)
        ok, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        try:
            if not ok:
                raise OSError(None, "no JPEG can be made of it")
            self._write(stem(comment), data.tobytes())
            trouble = ""
        except OSError as error:
            trouble = error.strerror or str(error)
        if bool(trouble) != self._failing:
            self._failing = bool(trouble)
            what = f"cannot be written: {trouble}" if trouble else "can be written again"
            tell(f"--snapshots {self._folder}: {what}")

    def _write(self, name: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room(len(data))
        path, n = self._folder / f"{name}.jpg", 1
        while path.exists():
            n += 1
            path = self._folder / f"{name}_{n}.jpg"
        part = path.with_name(f"{path.name}.part")
        try:
            part.write_bytes(data)
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def _make_room(self, n_bytes: int) -> None:
        """Removes the oldest of ours until one more picture fits."""
        with os.scandir(self._folder) as entries:
            found = [entry for entry in entries if OURS.fullmatch(entry.name) and entry.is_file()]
        ours = sorted((e.stat().st_mtime_ns, e.name, e.stat().st_size) for e in found)
        n_pictures, n_bytes = len(ours) + 1, n_bytes + sum(size for _, _, size in ours)
        for _, name, size in ours:
            if n_pictures <= self._max_pictures and n_bytes <= MAX_BYTES:
                return
            (self._folder / name).unlink(missing_ok=True)
            n_pictures, n_bytes = n_pictures - 1, n_bytes - size


def stem(comment: Comment) -> str:
    """A file's name without its suffix: when it happened, and what."""
    if comment.time:  # 2026-05-04T14:03:22.500+02:00
        when = comment.time[:23].replace("T", "_").replace(":", "-")
    else:
        s, ms = divmod(round(max(0.0, comment.start_ms)), 1000)
        when = f"{s // 3600:03}-{s // 60 % 60:02}-{s % 60:02}.{ms:03}"
    what = comment.happening
    words = [what.kind, what.label or ""] if what else []
    plain = [part for word in words if (part := re.sub(r"[^a-z-]", "", word.lower()))]
    return "_".join(["watch", when, *(plain or ["comment"])])


def boxed(rgb: Rgb, what: Happening | None) -> Rgb:
    """The picture, with a box around what a comment tells of, and its name, where it is known."""
    if what is None or what.box is None:
        return rgb
    drawn = np.ascontiguousarray(rgb).copy()
    height, width = rgb.shape[:2]
    line, colour = line_px(width, height), colour_of(what.track)
    left, top, right, bottom = what.box
    for stroke, shade in ((3 * line, OUTLINE), (line, colour)):
        cv2.rectangle(drawn, (left, top), (right, bottom), shade, stroke)
    if name := name_of(what.label, what.colour):
        high = text_px(width, height)
        scale = 0.7 * high / FONT_PX
        (wide, _), _ = cv2.getTextSize(name, FONT, scale, line)
        x = max(0, min(left, width - wide))
        y = top - high if top >= high else max(0, top)
        cv2.rectangle(drawn, (x, y), (x + wide, y + high), colour, cv2.FILLED)
        at = (x, y + round(0.8 * high))
        cv2.putText(drawn, name, at, FONT, scale, OUTLINE, line, cv2.LINE_AA)
    return drawn
