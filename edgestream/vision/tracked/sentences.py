# SPDX-License-Identifier: Apache-2.0
"""Acts to whole sentences. Each is built of parts that fit, so that none can be broken.

What is spoken of was introduced before: "A person enters", then "The person stops". One of several
is "one of the people", and what was there before anybody looked is "a vehicle that stood there".
"""

from __future__ import annotations

from collections.abc import Callable

from edgestream.vision.labels import ANIMAL, BICYCLE, PERSON, SOMETHING, VEHICLE
from edgestream.vision.perception import view
from edgestream.vision.tracked.story import ENTERS, LEAVES, MOVES, STOPS

PLURALS = {PERSON: "people", BICYCLE: "bicycles", VEHICLE: "vehicles", ANIMAL: "animals"}
PLURALS |= {SOMETHING: "things"}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
ABOUT = 5  # from so many on nobody counts
SIDES_IN = {s: f"from the {s}" for s in ("left", "right", "top", "bottom")}
SIDES_OUT = {"left": "to the left", "right": "to the right", "top": "at the top"}
SIDES_OUT |= {"bottom": "at the bottom"}
WAYS = {"left": "to the left", "right": "to the right", "top": "away", "bottom": "closer"}
COLOURED = (VEHICLE, ANIMAL, BICYCLE)  # people wear many
VIEW = {
    view.CUT: "The view is another one now",
    view.SHAKES: "The camera shakes",
    view.LIGHT_ON: "The light goes on",
    view.LIGHT_OFF: "The light goes off",
    view.DARKER: "It gets darker",
    view.BRIGHTER: "It gets brighter",
    view.INFRARED_ON: "The camera changes to infrared light",
    view.INFRARED_OFF: "The camera changes back to colours",
    view.COVERED: "The camera is covered",
    view.CLEAR: "The camera is clear again",
    view.BLURRED: "The picture goes out of focus",
    view.SHARP: "The picture is in focus again",
}


def of_view(kind: str, direction: str | None) -> str:
    """What happened to the view."""
    if kind == view.CAMERA_MOVES:
        way = {"top": "up", "bottom": "down"}.get(direction or "", f"to the {direction}")
        return f"The camera moves {way}." if direction else "The camera moves."
    if kind == view.ZOOMS:
        return f"The camera zooms {direction}."
    return f"{VIEW[kind]}."


def indefinite(label: str, colour: str, *, another: bool = False) -> str:
    """A thing that is spoken of for the first time: "a red vehicle", "another person"."""
    if label == SOMETHING:
        return " ".join(filter(None, ("something", "else" if another else "", colour)))
    named = f"{colour} {label}" if colour and label in COLOURED else label
    article = "an" if named[0] in "aeio" else "a"
    return f"another {named}" if another else f"{article} {named}"


def definite(label: str, colour: str, n_present: int) -> str:
    """A thing that was spoken of, of `n_present` such: "the person", "one of the people"."""
    if n_present > 1:
        return f"one of the {PLURALS[label]}"
    return f"the {colour} thing".replace("  ", " ") if label == SOMETHING else f"the {label}"


def several(label: str, count: int) -> str:
    """A number of things: "three people", "about six vehicles", "several things"."""
    if label == SOMETHING:
        return "several things"
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{'about ' if count > ABOUT else ''}{number} {PLURALS[label]}"


def does(kind: str, side: str | None, direction: str | None, zone: str | None, one: bool) -> str:
    """The verb and where: "enters from the left", "stop"."""
    return _VERBS[kind](side, direction, zone, "s" if one else "")


def _enters(side: str | None, _: str | None, zone: str | None, s: str) -> str:
    where = f" the {zone}" if zone else ""
    if side is None and not zone:
        return f"come{s} into view"
    return f"enter{s}{where}" + (f" {SIDES_IN[side]}" if side else "")


def _leaves(side: str | None, _: str | None, zone: str | None, s: str) -> str:
    if side is None and not zone:
        return f"{'is' if s else 'are'} out of sight"
    where = f" the {zone}" if zone else ""
    return f"leave{s}{where}" + (f" {SIDES_OUT[side]}" if side else "")


def _moves(_: str | None, direction: str | None, zone: str | None, s: str) -> str:
    return f"move{s} {WAYS[direction]}" if direction else f"move{s}"


def _stops(_: str | None, __: str | None, zone: str | None, s: str) -> str:
    return f"stop{s}" + (f" in the {zone}" if zone else "")


_VERBS: dict[str, Callable[[str | None, str | None, str | None, str], str]] = {
    ENTERS: _enters, LEAVES: _leaves, MOVES: _moves, STOPS: _stops,
}  # fmt: skip


def stays(who: str, stayed_ms: float) -> str:
    """Who has been standing there, and for how long."""
    minutes = round(stayed_ms / 60_000)
    if minutes >= 60:
        hours = round(minutes / 60)
        return f"{who} has been there for {'an hour' if hours == 1 else f'{hours} hours'}"
    spell = "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"{who} has been there for {spell if minutes else f'{stayed_ms / 1000:.0f} seconds'}"
