# SPDX-License-Identifier: Apache-2.0
"""A sentence of the built-in commentator as fields. It knows few sentences, and all are here."""

from __future__ import annotations

import re

from edgestream.events import Happening

VIEW = {
    "the light goes on": "light-on",
    "the light goes off": "light-off",
    "the camera is covered": "covered",
    "the camera is clear": "clear",
    "the camera moves": "camera-moves",
}
SIDE = "(?P<side>left|right|top|bottom)"
COLOUR = "(?P<colour>red|orange|yellow|green|blue|purple|white|grey|black)"
OF_A_THING = re.compile(
    rf"(?:a|the) (?:small|middling|large) {COLOUR} thing"
    rf" (?:(?P<kind>enters) from the {SIDE}"
    rf"|(?P<goes>leaves|moves) to the {SIDE.replace('side', 'towards')}"
    r"|(?P<stands>stops))"
)


def happening_of(text: str) -> Happening | None:
    """What a sentence tells of; None where it is none that the model was taught.

    "The large red thing moves to the left" is `moves`, direction left, colour red.
    """
    sentence = text.lower()
    if sentence in VIEW:
        return Happening(VIEW[sentence])
    found = OF_A_THING.fullmatch(sentence)
    if found is None:
        return None
    kind = found["kind"] or found["goes"] or found["stands"]
    moves = kind == "moves"
    side, direction = (
        (None, found["towards"]) if moves else (found["side"] or found["towards"], None)
    )
    return Happening(kind, side, direction, colour=found["colour"])
