# SPDX-License-Identifier: Apache-2.0
"""When something happened, as people read it: 14:03:22 by the wall clock, 0:01:23 in a file."""

from __future__ import annotations

from edgestream.events import Comment

TIME_OF_DAY = slice(11, 19)  # of ISO 8601: 2026-05-04T14:03:22.500+02:00


def happened(comment: Comment) -> str:
    """By the clock on the wall, if the comment knows that; else by the source's."""
    if comment.time is not None:
        return comment.time[TIME_OF_DAY]
    return elapsed(comment.start_ms)


def elapsed(time_ms: float) -> str:
    """Hours, minutes and seconds since the source began, as 0:01:23."""
    minutes, s = divmod(int(max(0.0, time_ms) / 1000), 60)
    h, m = divmod(minutes, 60)
    return f"{h}:{m:02}:{s:02}"
