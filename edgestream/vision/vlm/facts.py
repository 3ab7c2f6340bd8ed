# SPDX-License-Identifier: Apache-2.0
"""What is known of what happened, in plain words for a model's prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from edgestream.events import Comment
from edgestream.vision.labels import SOMETHING
from edgestream.vision.perception.perception import Looked
from edgestream.vision.perception.track import Track
from edgestream.vision.tracked.sentences import indefinite, several
from edgestream.vision.tracked.story import LEAVES
from edgestream.vision.vlm.crops import Crop, place_of

MAX_LISTED = 8  # things, each with its place
# Of thirds of the picture: rows from the top, columns from the left.
PLACES = (
    ("at the upper left", "at the top", "at the upper right"),
    ("at the left", "in the middle", "at the right"),
    ("at the lower left", "at the bottom", "at the lower right"),
)


def of_happening(comment: Comment, crop: Crop | None, others: Sequence[Track] | None) -> str:
    """A comment's own sentence, what is shown, since when it is there, and what else is.

    `crop`: what is shown, if it is one thing and not the whole picture. `others`: None where that
    is not known.
    """
    if crop is None:
        shown = "You see the whole picture."
        there = f"In view: {_counted(others)}." if others else "Nothing is followed in it."
    else:
        left = comment.happening is not None and comment.happening.kind == LEAVES
        when = ", as it was last seen" if left else ""
        since = _ago(comment.picture_ms - crop.track.first.time_ms)
        shown = f"You see {thing(crop.track)} {place(*crop.place)}{when}. First seen {since}."
        there = f"Also there: {_counted(others)}." if others else "Nothing else is there."
    return f"{comment.text} {shown}{'' if others is None else f' {there}'}"


def of_view(present: Sequence[Track], at: Looked) -> str:
    """What is in view now."""
    if not present:
        return "Nothing is followed in the picture now."
    now_ms = at.step.time_ms
    told = [
        f"{thing(t)} {place(*place_of(t, at))}, for {_spell(now_ms - t.first.time_ms)}"
        for t in present[:MAX_LISTED]
    ]
    more = f"; and {len(present) - MAX_LISTED} more" if len(present) > MAX_LISTED else ""
    return f"In view now: {'; '.join(told)}{more}."


def thing(track: Track) -> str:
    """What it is, as far as anybody knows: "a person, mainly red"."""
    named = "something without a name" if track.label == SOMETHING else indefinite(track.label, "")
    return f"{named}, mainly {track.colour}," if track.colour else named


def place(x: float, y: float) -> str:
    """In which ninth of the picture a point lies, given in shares of it."""
    column, row = (min(2, max(0, int(3 * share))) for share in (x, y))
    return PLACES[row][column]


def _counted(tracks: Sequence[Track]) -> str:
    """How many of each class: "two people, a vehicle"."""
    counts = Counter(track.label for track in tracks)
    return ", ".join(
        several(label, n) if n > 1 else indefinite(label, "") for label, n in counts.items()
    )


def _ago(length_ms: float) -> str:
    """When something began: "just now", "3 seconds ago"."""
    return f"{_spell(length_ms)} ago" if length_ms >= 1000 else "just now"


def _spell(length_ms: float) -> str:
    """How long something took: "1 second", "4 minutes"."""
    seconds = max(0, round(length_ms / 1000))
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
