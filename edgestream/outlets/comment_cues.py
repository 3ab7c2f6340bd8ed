# SPDX-License-Identifier: Apache-2.0
"""From comments to subtitle cues: each starts when it happened, and none flashes by."""

from __future__ import annotations

from edgestream.captions.shown_text import columns
from edgestream.events import READING_MS, Comment
from edgestream.outlets.cues import MAX_LINES, MIN_CUE_MS, SHORTEST_CUE_MS, Cue, lines_of


class CommentCutter:
    """Makes a Comment one cue, which starts at its `start_ms`; starts only rise.

    A comment may come while the one before is still read. With `rolling` the text of that one is
    then repeated above the new one, for a cue before it that ends where this one starts:

        1.0 to 2.5 s   A person enters.
        2.5 to 5.0 s   A person enters.
                       The light goes off.

    Without, the cue before it keeps its end, for where it is written already and cannot be changed.
    Both cues are shown then for a while, one above the other, as players do; so nothing waits, and
    what is written has the time at which it happened.
    """

    def __init__(self) -> None:
        self._start_ms = -SHORTEST_CUE_MS  # of the newest cue
        self._read_ms = 0  # until it is read
        self._lines: tuple[str, ...] = ()  # of its comment alone
        self._reading_ms = 0  # that its comment alone takes

    def push(self, comment: Comment, *, rolling: bool) -> Cue | None:
        """The cue of one comment; none of one without text. Starts at least 1 ms after the last."""
        lines = tuple(line for part in lines_of(comment) for line in part)
        if not lines:
            return None
        start_ms = max(round(comment.start_ms), self._start_ms + SHORTEST_CUE_MS)
        unread_ms = min(max(0, self._read_ms - start_ms), self._reading_ms)
        shown = lines
        if not rolling:
            unread_ms = 0
        elif unread_ms:
            shown = self._lines[-MAX_LINES:] + lines
        reading_ms = max(MIN_CUE_MS, round(READING_MS * sum(columns(line) + 1 for line in lines)))
        self._start_ms, self._read_ms = start_ms, start_ms + unread_ms + reading_ms
        self._lines, self._reading_ms = lines, reading_ms
        return Cue(start_ms, self._read_ms, shown)
