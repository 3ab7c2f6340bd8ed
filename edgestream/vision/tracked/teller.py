# SPDX-License-Identifier: Apache-2.0
"""Tracks to comments: whose acts are told, how they are grouped, and in which words."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from edgestream.events import Comment, Happening
from edgestream.vision.chattiness import Chattiness
from edgestream.vision.labels import PERSON, VEHICLE
from edgestream.vision.perception import view
from edgestream.vision.perception.boxes import Box
from edgestream.vision.perception.perception import Looked
from edgestream.vision.perception.track import Track
from edgestream.vision.perception.tracker import Step
from edgestream.vision.perception.view import ViewChange
from edgestream.vision.tracked import sentences
from edgestream.vision.tracked.story import ENTERS, LEAVES, MOVES, STAYS, STOPS, Act, Story
from edgestream.vision.watcher import Focus

# From which chattiness on a kind is told; arrivals and departures of people and vehicles always.
FROM = {ENTERS: 0.2, LEAVES: 0.2, STOPS: 0.4, MOVES: 0.4, STAYS: 0.4}
ALWAYS = (PERSON, VEHICLE)
VIEW_FROM = 0.2
ALL_FROM = 0.75  # short ways and stops too, and what was there before
SMALL_VIEW = {view.DARKER: 0.4, view.BRIGHTER: 0.4, view.BLURRED: 0.4, view.SHARP: 0.4}
OFTEN, OFTEN_MS = 6, 5000.0  # comments in a while; then acts are held, to be joined
HELD_MS = 1000.0  # for so long
MANY = 3  # acts of one kind, that are told together


@dataclass(frozen=True, slots=True)
class Told:
    """How a track was introduced."""

    label: str
    colour: str


class Teller:
    """Push what each picture showed, get comments."""

    def __init__(self, chattiness: Chattiness, focus: Focus) -> None:
        """With `focus.only` the view is not told of; with its zones, who enters and leaves them."""
        self._chattiness = chattiness.value
        self._only, self._zones = focus.only, focus.zones
        self.reset()

    def reset(self) -> None:
        """Nothing was seen yet."""
        self._stories: dict[int, Story] = {}
        self._told: dict[int, Told] = {}
        self._began_ms: float | None = None
        self._held: list[Act] = []
        self._recent: deque[float] = deque()

    def push(self, looked: Looked) -> list[Comment]:
        """The comments that a picture brings."""
        step = looked.step
        if self._began_ms is None or looked.fresh:
            self._began_ms = step.time_ms
        if looked.fresh:
            for story in self._stories.values():
                story.replace()
        acts: list[Act] = []
        for track in () if looked.hidden else step.alive:
            acts += self._story(track, looked).push(step.time_ms)
        for track in step.ended:
            ended = self._stories.pop(track.number, None)
            acts += ended.end(step.time_ms) if ended and not looked.fresh else []
        said = [self._of_view(c, step.time_ms) for c in looked.changes if self._tells_view(c)]
        self._held += [act for act in acts if self._tells(act)]
        said += self._release(step.time_ms, looked)
        self._forget(step)
        return said

    def _forget(self, step: Step) -> None:
        """What ended, and what a changed view made nobody follow any more."""
        known = {track.number for track in (*step.alive, *step.hidden)}
        self._stories = {n: story for n, story in self._stories.items() if n in known}
        known |= {act.track.number for act in self._held}
        self._told = {n: told for n, told in self._told.items() if n in known}

    def follows(self, track: Track) -> bool:
        """Whether it is one that is told of, or could be."""
        story = self._stories.get(track.number)
        return story is not None and (story.told or story.there)

    def finish(self, looked: Looked | None) -> list[Comment]:
        """What is held, at the end."""
        held, self._held = self._held, []
        return self._join(held, looked) if looked else []

    def _story(self, track: Track, looked: Looked) -> Story:
        story = self._stories.get(track.number)
        if story is None:
            assert self._began_ms is not None
            story = Story(
                track, self._began_ms, looked.width, looked.height, self._zones,
                all_of_it=self._chattiness >= ALL_FROM,
            )  # fmt: skip
            self._stories[track.number] = story
        return story

    def _tells(self, act: Act) -> bool:
        label = act.track.label
        if self._only is not None and label not in self._only:
            return False
        if act.kind in (ENTERS, LEAVES) and label in ALWAYS:
            return True
        return self._chattiness >= FROM[act.kind]

    def _tells_view(self, change: ViewChange) -> bool:
        return self._only is None and self._chattiness >= SMALL_VIEW.get(change.kind, VIEW_FROM)

    def _of_view(self, change: ViewChange, time_ms: float) -> Comment:
        text = sentences.of_view(change.kind, change.direction)
        happening = Happening(change.kind, direction=change.direction)
        return Comment.of(text, time_ms, happening, change.time_ms)

    def _release(self, time_ms: float, looked: Looked) -> list[Comment]:
        """What is held, at once; where much happens, joined every second."""
        while self._recent and time_ms - self._recent[0] > OFTEN_MS:
            self._recent.popleft()
        if not self._held:
            return []
        if len(self._recent) >= OFTEN and time_ms - self._held[0].known_ms < HELD_MS:
            return []
        said = self._join(self._held, looked)
        self._held = []
        self._recent.extend([time_ms] * len(said))
        return said

    def _join(self, acts: Iterable[Act], looked: Looked | None) -> list[Comment]:
        """Many acts of one kind, of things of one class on one side, are one comment."""
        groups: dict[tuple[str | None, ...], list[Act]] = {}
        for act in acts:
            alone = str(act.track.number) if act.kind == STAYS else None
            key = (act.kind, act.track.label, act.side, act.direction, act.zone, alone)
            groups.setdefault(key, []).append(act)
        joined = []
        for group in groups.values():
            joined += [group] if len(group) >= MANY else [[act] for act in group]
        return [self._comment(group, looked) for group in joined]

    def _comment(self, acts: list[Act], looked: Looked | None) -> Comment:
        act, scale = acts[0], looked.scale if looked else 1.0
        track = act.track
        text = self._several(acts) if len(acts) > 1 else self._one(act)
        happening = Happening(
            act.kind, act.side, act.direction, track.number, track.label, track.colour or None,
            in_pixels(act.box or track.box, scale), round(track.score, 2) or None, act.zone,
            len(acts),
        )  # fmt: skip
        start_ms = min(a.time_ms for a in acts)
        return Comment.of(f"{text[0].upper()}{text[1:]}.", act.known_ms, happening, start_ms)

    def _several(self, acts: list[Act]) -> str:
        for act in acts:
            self._told.setdefault(act.track.number, Told(act.track.label, act.track.colour))
        act = acts[0]
        who = sentences.several(act.track.label, len(acts))
        return f"{who} {sentences.does(act.kind, act.side, act.direction, act.zone, one=False)}"

    def _one(self, act: Act) -> str:
        if act.kind == STAYS and not act.stayed_ms:
            self._told[act.track.number] = Told(act.track.label, act.track.colour)
            return f"{sentences.indefinite(act.track.label, act.track.colour)} is there"
        who = self._who(act)
        if act.kind == STAYS:
            return sentences.stays(who, act.stayed_ms)
        return f"{who} {sentences.does(act.kind, act.side, act.direction, act.zone, one=True)}"

    def _who(self, act: Act) -> str:
        """What it is called: as it was introduced, or introduced now."""
        number, label, colour = act.track.number, act.track.label, act.track.colour
        told = self._told.get(number)
        present = sum(t.label == label for t in self._told.values())
        if told is not None and told.label == label:
            return sentences.definite(label, told.colour, present)
        self._told[number] = Told(label, colour)
        another = act.kind == ENTERS and present > 0
        who = sentences.indefinite(label, colour, another=another)
        # Only now it is clear what it is, or it was there before anybody looked.
        return f"{who} that was there" if told is None and act.kind != ENTERS else who


def in_pixels(box: Box, scale: float) -> tuple[int, int, int, int]:
    """In the picture of the source."""
    left, top, right, bottom = (round(at / scale) for at in box)
    return left, top, right, bottom
