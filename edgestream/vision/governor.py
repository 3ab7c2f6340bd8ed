# SPDX-License-Identifier: Apache-2.0
"""Keeps comments on a live source young: what a picture may cost, from what the last ones did.

A turn, that is all of one picture, has a deadline: even the first comment of a decoder that becomes
slow is cut off in time. And there is a ladder of things to give up: fewer tokens a picture, fewer
pictures, smaller pictures. It is gone down while turns take longer than pictures
take to come or a comment does not fit in its time, and up again where what comes back has had room
for a while, a longer one each time that this was wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from edgestream.events import Lag

# The goal keeps below the promise of 2000 ms what one slow token and the screen may add.
GOAL_MS = 1700.0
FULL_LOAD = 0.9  # of the time between pictures
CALM_SHARE = 0.7  # of goal and full load, in which it must fit before a step up
LOAD_MIX = 0.05  # share of the newest turn in the means: words are rare
COST_MIX = 0.15  # share of the newest turn where it was faster than those before
FORGOTTEN = 0.01  # of what a token takes, with each turn without words
CALM_MS = 5_000.0
MAX_CALM_MS = 80_000.0
MAX_INTERVAL_MS = 1_000.0
# What is given up in turn, and how it is told.
LADDER = {
    "max_tokens": "at most {:g} tokens a picture",
    "interval_ms": "a picture every {:g} ms",
    "picture_tokens": "pictures of {:g} tokens",
}


@dataclass(frozen=True, slots=True)
class Pace:
    """What a picture may cost.

    `picture_tokens`: of the encoder's output. None: the family has no such setting.
    """

    max_tokens: int
    interval_ms: float
    picture_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Levers:
    """What a family can give up, from the best to the cheapest; one value or none is no lever."""

    max_tokens: tuple[int, ...]
    interval_ms: tuple[float, ...]
    picture_tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What the turn of one picture cost.

    `age_ms`: of the picture when its turn began; `read_ms`: encoding it and its rows entering the
    decoder; `write_ms`: the tokens that it brought, of which the first came with its rows.
    """

    age_ms: float = 0.0
    read_ms: float = 0.0
    write_ms: float = 0.0
    n_tokens: int = 0
    cut_off: bool = False  # a limit ended its comment

    @property
    def staleness_ms(self) -> float:
        """How old the picture was when the last token was there."""
        return self.age_ms + self.read_ms + self.write_ms


@dataclass(frozen=True, slots=True)
class _Rung:
    """A step down, and how many times as much reading and writing take above it as on it."""

    pace: Pace
    action: str = ""
    read: float = 1.0
    write: float = 1.0


class Governor:
    """Push the Cost of each turn, get Lag events; `pace` and `left_ms` hold for the next one.

    A pure function of the turns and of the times at which they began.
    """

    def __init__(self, levers: Levers) -> None:
        """Raises ValueError on levers that are not in their order, or not above 0."""
        _check(levers)
        self._rungs = list(_ladder(levers))
        self.reset()

    def reset(self) -> None:
        """Back to a stream of which nothing is known."""
        self._at = 0
        self._mean_read_ms = self._mean_write_ms = 0.0
        self._age_ms = self._read_ms = self._token_ms = 0.0
        self._calm_since_ms: float | None = None
        self._calm_ms = CALM_MS
        self._rose = False  # the last step was one up
        self._cut_off = False  # the last comment, by its deadline

    @property
    def pace(self) -> Pace:
        """What the next picture may cost."""
        return self._rungs[self._at].pace

    @property
    def given_up(self) -> int:
        """Steps down from the top of the ladder."""
        return self._at

    def left_ms(self, age_ms: float) -> float:
        """How long the turn of a picture that is `age_ms` old may take."""
        return max(0.0, GOAL_MS - age_ms)

    def push(self, turn: Cost, now_ms: float) -> list[Lag]:
        """Counts a turn that began at `now_ms`; returns the steps that follow from it."""
        steps = self._tell_cut(turn)
        self._measure(turn)
        while self._too_slow() and self._at + 1 < len(self._rungs):
            steps.append(self._step_down(turn))
        if not self._at or not self._has_room():
            self._calm_since_ms = None
        elif self._calm_since_ms is None:
            self._calm_since_ms = now_ms
        elif now_ms - self._calm_since_ms >= self._calm_ms:
            steps.append(self._step_up(turn))
        return steps

    def _tell_cut(self, turn: Cost) -> list[Lag]:
        """Of comments in a row that their deadline cut off the first is told."""
        if not turn.n_tokens:
            return []
        before = self._cut_off
        self._cut_off = turn.cut_off and turn.n_tokens < self.pace.max_tokens
        told = self._cut_off and not before
        return [Lag(turn.staleness_ms, "comment cut off")] if told else []

    def _measure(self, turn: Cost) -> None:
        """Slowness is believed at once, speed as it lasts."""
        self._mean_read_ms += LOAD_MIX * (turn.read_ms - self._mean_read_ms)
        self._mean_write_ms += LOAD_MIX * (turn.write_ms - self._mean_write_ms)
        self._age_ms = _slow_to_fall(self._age_ms, turn.age_ms)
        self._read_ms = _slow_to_fall(self._read_ms, turn.read_ms)
        if turn.n_tokens > 1:
            token_ms = turn.write_ms / (turn.n_tokens - 1)
            self._token_ms = _slow_to_fall(self._token_ms, token_ms)
        else:
            self._token_ms *= 1 - FORGOTTEN

    def _too_slow(self) -> bool:
        load = (self._mean_read_ms + self._mean_write_ms) / self.pace.interval_ms
        comment_ms = self._read_ms + (self.pace.max_tokens - 1) * self._token_ms
        return load > FULL_LOAD or self._age_ms + comment_ms > GOAL_MS

    def _has_room(self) -> bool:
        """Whether what the last step gave up can be paid again."""
        rung, above = self._rungs[self._at], self._rungs[self._at - 1].pace
        mean_ms = rung.read * self._mean_read_ms + rung.write * self._mean_write_ms
        comment_ms = rung.read * self._read_ms + (above.max_tokens - 1) * self._token_ms
        if mean_ms > CALM_SHARE * FULL_LOAD * above.interval_ms:
            return False
        return self._age_ms + comment_ms < CALM_SHARE * GOAL_MS

    def _step_down(self, turn: Cost) -> Lag:
        if self._rose:
            self._calm_ms = min(2 * self._calm_ms, MAX_CALM_MS)
        self._at, self._rose = self._at + 1, False
        rung = self._rungs[self._at]
        self._expect(1 / rung.read, 1 / rung.write)
        return Lag(turn.staleness_ms, rung.action)

    def _step_up(self, turn: Cost) -> Lag:
        rung = self._rungs[self._at]
        self._at, self._rose = self._at - 1, True
        self._calm_since_ms = None
        self._expect(rung.read, rung.write)
        return Lag(turn.staleness_ms, f"{rung.action}: no longer")

    def _expect(self, read: float, write: float) -> None:
        """What is known goes on as what the step should make of it."""
        self._mean_read_ms *= read
        self._mean_write_ms *= write
        self._read_ms *= read


def intervals(fps: float) -> tuple[float, ...]:
    """For Levers: the interval of `fps`, then twice as long each, up to MAX_INTERVAL_MS."""
    steps = [1000 / fps]
    while 2 * steps[-1] <= MAX_INTERVAL_MS:
        steps.append(2 * steps[-1])
    return tuple(steps)


def _slow_to_fall(mean: float, value: float) -> float:
    return max(value, mean + COST_MIX * (value - mean))


def _ladder(levers: Levers) -> Iterator[_Rung]:
    """The rungs, nothing given up first."""
    pace = Pace(
        levers.max_tokens[0],
        levers.interval_ms[0],
        levers.picture_tokens[0] if levers.picture_tokens else None,
    )
    yield _Rung(pace)
    for name, action in LADDER.items():
        for before, value in pairwise(getattr(levers, name)):
            pace = replace(pace, **{name: value})
            yield _Rung(
                pace,
                action.format(value),
                read=before / value if name == "picture_tokens" else 1.0,
                write=before / value if name == "max_tokens" else 1.0,
            )


def _check(levers: Levers) -> None:
    if not levers.max_tokens or not levers.interval_ms:
        raise ValueError("governor: a number of tokens and an interval are needed")
    for name in LADDER:
        values = getattr(levers, name)
        sign = -1 if name == "interval_ms" else 1
        if any(v <= 0 for v in values) or any(sign * (a - b) <= 0 for a, b in pairwise(values)):
            raise ValueError(
                f"governor: {name} is {values}; from the best to the cheapest, above 0"
            )
