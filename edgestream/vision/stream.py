# SPDX-License-Identifier: Apache-2.0
"""A stream of pictures through a commentator of any family: push pictures, get events."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import numpy as np

from edgestream.errors import UsageError
from edgestream.events import Comment, Event, Gap, Notice
from edgestream.sources.picture import Picture, Spacing, Waiting
from edgestream.system.checks import finite
from edgestream.system.native_work import native_work
from edgestream.system.one_process import OneProcess
from edgestream.vision.governor import Governor
from edgestream.vision.stages import Commentator, Counts, Seen


class PictureStream(OneProcess):
    """One stream of pictures through a model.

    Any cutting of the pictures into pushes gives the same events. One thread at a time (a second
    one waits); streams of one model may run in different threads.

    Args:
        commentator: the family's stages, to look at and to measure.
        fps: pictures that come faster are thinned to so many a second.
        now_ms: the clock of the pictures' times; without one, a comment's staleness is 0.
        governor: keeps comments young by that clock; without one, every picture has its whole turn.
        wall_clock: the time of day with its zone, as of live pictures; with one, and `now_ms`,
            comments say by it when they happened. It may be set back: other times do not change.
    """

    def __init__(
        self,
        commentator: Commentator,
        *,
        fps: float,
        now_ms: Callable[[], float] | None = None,
        governor: Governor | None = None,
        wall_clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.commentator = commentator
        self.wall_clock = wall_clock
        self._fps = fps
        self._now_ms = now_ms
        self._governor = governor
        self._busy = threading.Lock()  # the stages compute without the interpreter's lock
        self.reset()

    def reset(self) -> None:
        """Back to an empty stream; times may start again."""
        with self._busy:
            self.commentator.reset()
            if self._governor:
                self._governor.reset()
            self._spacing = Spacing(self._fps)
            self._seen_ms = 0.0
            self._finished = False

    @property
    def heard_ms(self) -> float:
        """Source time up to which pictures were taken or lost."""
        return self._seen_ms

    @property
    def counts(self) -> Counts:
        """What became of the pictures so far."""
        return self.commentator.counts

    @property
    def seen(self) -> tuple[Seen, ...]:
        """What is followed in the newest picture."""
        return self.commentator.seen

    def push(self, pictures: Picture | Iterable[Picture]) -> list[Event]:
        """Takes one picture or several, their times rising.

        Raises:
            UsageError: a picture is not uint8 [height, width, 3], its time lies before that of the
                one before it, or the stream is finished.
        """
        self.expect_here()
        several = pictures if isinstance(pictures, Iterable) else [pictures]
        with self._busy:
            return [event for picture in several for event in self._push(picture)]

    def lose(self, gap: Gap) -> list[Event]:
        """Pictures were lost: the Gap, behind what was begun before it; then the stream goes on."""
        self.expect_here()
        start_ms, end_ms = (finite(at, "stream: a gap's time") for at in (gap.start_ms, gap.end_ms))
        if not 0 <= start_ms <= end_ms:
            raise UsageError(f"stream: a gap from {gap.start_ms} to {gap.end_ms} ms; it cannot be")
        with self._busy, native_work():
            self._expect_open()
            events = self._dated(self.commentator.interrupt())
            self._seen_ms = max(self._seen_ms, gap.end_ms)
            return [*events, gap]

    def take(self, item: Picture | Gap | Notice | Waiting) -> list[Event]:
        """What a source gives: a picture, that some were lost or are waited for, what is odd."""
        if isinstance(item, (Notice, Waiting)):
            return [item] if isinstance(item, Notice) else []
        return self.lose(item) if isinstance(item, Gap) else self.push(item)

    def ask(self, question: str) -> Callable[[], str]:
        """Forks what is known by now; the call gives the answer, on any thread, beside the stream.

        Raises:
            UsageError: the question is too long, or the model answers none.
        """
        self.expect_here()
        with self._busy, native_work():
            return self.commentator.ask(question)

    def finish(self) -> list[Event]:
        """Ends the stream: says what was begun."""
        self.expect_here()
        with self._busy, native_work():
            if self._finished:
                return []
            self._finished = True
            return self._dated(self.commentator.finish())

    @native_work()
    def _push(self, picture: Picture) -> list[Event]:
        self._expect_open()
        _check(picture)
        if finite(picture.time_ms, "stream: time_ms", "times must rise") < self._seen_ms:
            raise UsageError(
                f"stream: a picture of {picture.time_ms:g} ms after {self._seen_ms:g} ms; times"
                " must rise (reset() starts again)"
            )
        self._seen_ms = picture.time_ms
        # A source thins before it decodes; here all pictures that a program pushes come by.
        if not self._spacing.due(picture.time_ms):
            return []
        if self._governor and self._now_ms:
            return self._governed(picture, self._governor, self._now_ms())
        return self._dated(self.commentator.push(picture))

    def _governed(self, picture: Picture, governor: Governor, now_ms: float) -> list[Event]:
        """A picture that may cost what the governor says, and what follows from what it did."""
        age_ms = max(0.0, now_ms - picture.time_ms)
        self.commentator.limit(governor.pace, governor.left_ms(age_ms))
        events = self._dated(self.commentator.push(picture))
        steps = governor.push(dataclasses.replace(self.commentator.cost, age_ms=age_ms), now_ms)
        self._spacing.interval_ms = governor.pace.interval_ms
        return [*events, *steps]

    def _dated(self, events: list[Event]) -> list[Event]:
        """The events, comments with how old their pictures are by now and when they happened."""
        if self._now_ms is None:
            return events
        now_ms, now = self._now_ms(), self.wall_clock() if self.wall_clock else None
        return [_date(e, now_ms, now) if isinstance(e, Comment) else e for e in events]

    def _expect_open(self) -> None:
        if self._finished:
            raise UsageError("stream: already finished; call reset() to start a new one")


def _date(comment: Comment, now_ms: float, now: datetime | None) -> Comment:
    """The comment, dated from two clocks that are read at once: the pictures' and the wall's."""
    time = now and now - timedelta(milliseconds=now_ms - comment.start_ms)
    return dataclasses.replace(
        comment,
        staleness_ms=max(0.0, now_ms - comment.picture_ms),
        time=time.isoformat(timespec="milliseconds") if time else comment.time,
    )


def _check(picture: Picture) -> None:
    if not isinstance(picture, Picture):
        raise UsageError(f"stream: got {type(picture).__name__}; pass a Picture, or several")
    rgb = picture.rgb
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.shape[2:] != (3,):
        found = f"{rgb.dtype} {list(rgb.shape)}" if isinstance(rgb, np.ndarray) else type(rgb)
        raise UsageError(f"stream: a picture is {found}; pass RGB, uint8 [height, width, 3]")
    if not rgb.size:
        raise UsageError("stream: a picture of no pixels")
