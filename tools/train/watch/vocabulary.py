# SPDX-License-Identifier: Apache-2.0
"""What the commentator can say: events, the words for them, and their tokens."""

from __future__ import annotations

from dataclasses import dataclass

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "grey", "black")
SIZES = ("small", "middling", "large")
SIDES = ("left", "right", "top", "bottom")

SILENCE, END, BOS = 0, 1, 2
WORDS = (
    "<silence>", "<end>", "<bos>", "a", "the", "thing", *SIZES, *COLOURS, *SIDES,
    "enters", "leaves", "stops", "moves", "from", "to", "at", "middle", "on",
    "light", "goes", "off", "camera", "is", "covered", "clear",
)  # fmt: skip
TOKEN = {word: i for i, word in enumerate(WORDS)}
MIRRORED = {"left": "right", "right": "left"}
FLIPPED = {"top": "bottom", "bottom": "top"}


@dataclass(frozen=True)
class Event:
    """Something worth a comment; `visible_ms` is when a viewer could first know it."""

    kind: str  # of KINDS
    visible_ms: float
    size: str = ""
    colour: str = ""
    side: str = ""

    @property
    def text(self) -> str:
        """The comment, in words of the vocabulary."""
        if self.kind in PLAIN:
            return PLAIN[self.kind]
        thing = f"{self.size} {self.colour} thing"
        if self.kind == "enters":
            return f"a {thing} enters from the {self.side}"
        if self.kind == "stops":
            return f"the {thing} stops"
        return f"the {thing} {self.kind} to the {self.side}"

    @property
    def tokens(self) -> list[int]:
        """Of the comment, the end of the turn included."""
        return [*(TOKEN[word] for word in self.text.split()), END]


PLAIN = {
    "light on": "the light goes on",
    "light off": "the light goes off",
    "covered": "the camera is covered",
    "clear": "the camera is clear",
    "camera moves": "the camera moves",
}
OF_THINGS = ("enters", "leaves", "stops", "moves")
KINDS = (*OF_THINGS, *PLAIN)


def parse(text: str, at_ms: float) -> Event | None:
    """The event that a comment tells; None when it is none of the known sentences."""
    for kind, plain in PLAIN.items():
        if text == plain:
            return Event(kind, at_ms)
    words = text.split()
    size = next((w for w in words if w in SIZES), "")
    colour = next((w for w in words if w in COLOURS), "")
    side = next((w for w in words if w in SIDES), "")
    kind = next((w for w in words if w in OF_THINGS), "")
    event = Event(kind, at_ms, size, colour, side)
    return event if kind and event.text == text else None


def lay_out(comments: list[tuple[int, list[int]]], n_pictures: int) -> tuple[list[int], list[int]]:
    """Rows of a scene, BOS first (-1 - t is picture t), and what follows each; -1: not asked."""
    spoken = dict(comments)
    rows, targets = [BOS], [-1]
    for turn in range(n_pictures):
        words = spoken.get(turn, [])
        rows += [-1 - turn, *words]
        targets += [*(words or [SILENCE]), *([-1] if words else [])]
    return rows, targets
