"""The governor in front of a machine that is simulated: camera, slot, encoder, decoder, clock."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgestream.events import Lag
from edgestream.sources.picture import Spacing
from edgestream.vision.governor import GOAL_MS, Cost, Governor, Levers, Pace

LEVERS = Levers(
    max_tokens=(32, 16, 8),
    interval_ms=(200.0, 400.0, 800.0),
    picture_tokens=(256, 128, 64),
)
FIXED = Levers(max_tokens=(12,), interval_ms=(200.0, 400.0, 800.0))
MINUTE_MS = 60_000.0
CAMERA_MS = 1000 / 30


class Machine:
    """A camera at 30 pictures a second into a slot for one, of which each turn takes the newest.

    At factor 1 a picture of 256 tokens takes 70 ms and a token 6 ms. `wants(n)`: tokens that the
    n-th comment would have if nothing cut it off.
    """

    def __init__(self, levers, factor, wants):
        self.governor = Governor(levers)
        self.spacing = Spacing(1000 / levers.interval_ms[0])
        self.factor, self.wants = factor, wants
        self.now_ms = 0.0
        self.turns, self.lags, self.places = [], [], []

    def run(self, minutes):
        while self.now_ms < minutes * MINUTE_MS:
            newest = math.floor(self.now_ms / CAMERA_MS + 1e-6)
            taken_ms = newest * CAMERA_MS  # what lies in the slot
            if not self.spacing.due(taken_ms):
                self.now_ms = max(self.now_ms, (newest + 1) * CAMERA_MS)
                continue
            began_ms = self.now_ms
            turn = self._turn(max(0.0, began_ms - taken_ms))
            self.turns.append((began_ms, turn))
            self.lags += self.governor.push(turn, began_ms)
            self.spacing.interval_ms = self.governor.pace.interval_ms
            self.places.append(self.governor.given_up)
        return self

    def _turn(self, age_ms):
        """As TurnLoop.limit_turns ends it: no token that at the turn's pace would come too late."""
        pace, began_ms = self.governor.pace, self.now_ms
        left_ms = self.governor.left_ms(age_ms)
        self.now_ms += self._cost(10 + 60 * (pace.picture_tokens or 256) / 256)
        read_ms = self.now_ms - began_ms
        wanted = min(self.wants(len(self.turns)), pace.max_tokens)
        n_tokens, slowest_ms = min(wanted, 1), 0.0
        while n_tokens < wanted and self.now_ms - began_ms + slowest_ms <= left_ms:
            token_ms = self._cost(6)
            self.now_ms += token_ms
            slowest_ms = max(slowest_ms, token_ms)
            n_tokens += 1
        return Cost(age_ms, read_ms, self.now_ms - began_ms - read_ms, n_tokens)

    def _cost(self, ms):
        return ms * self.factor(self.now_ms)

    def staleness_ms(self):
        return [turn.staleness_ms for _, turn in self.turns]


def talkative(_):
    return 100


def seldom(n):
    return 12 if n % 40 == 0 else 0


def in_steps(factors, minutes):
    """A slowness that is another one every so often."""
    each_ms = minutes * MINUTE_MS / len(factors)
    return lambda now_ms: factors[min(int(now_ms / each_ms), len(factors) - 1)]


@pytest.mark.parametrize("wants", [talkative, seldom])
@pytest.mark.parametrize("levers", [LEVERS, FIXED], ids=["all levers", "fixed size"])
@settings(max_examples=25)
@given(factors=st.lists(st.floats(0.1, 14), min_size=1, max_size=20))
def test_comments_are_never_two_seconds_old(levers, wants, factors):
    """Whatever the decoder's speed does: a read of a picture takes a second at the slowest."""
    machine = Machine(levers, in_steps(factors, 5), wants).run(5)
    assert max(machine.staleness_ms()) < 2000


def test_half_an_hour_of_a_slow_decoder():
    """Eight times too slow from the fifth minute to the twentieth, and uneven."""
    noise = itertools.cycle([0.7, 1.0, 1.3, 1.0, 2.1])

    def factor(now_ms):
        return next(noise) * (8 if 5 <= now_ms / MINUTE_MS < 20 else 0.3)

    machine = Machine(LEVERS, factor, talkative).run(30)
    assert max(machine.staleness_ms()) < 2000
    spans = {name: [] for name in ("before", "slow", "after")}
    for (began_ms, turn), place in zip(machine.turns, machine.places, strict=True):
        minute = began_ms / MINUTE_MS
        if minute < 5 or 10 <= minute < 20 or minute > 25:
            span = "before" if minute < 5 else "slow" if minute < 20 else "after"
            spans[span].append((place, turn.n_tokens))
    assert max(place for place, _ in spans["before"]) <= 2
    assert min(place for place, _ in spans["slow"]) >= 3
    assert spans["after"][-1] == (0, 32)
    assert min(n for _, n in spans["slow"]) >= 4  # it still speaks


def test_what_is_given_up_comes_in_the_order_of_the_ladder_and_is_told():
    machine = Machine(LEVERS, lambda now_ms: 1 + now_ms / MINUTE_MS, talkative).run(12)
    told = [lag.action for lag in machine.lags if "no longer" not in lag.action]
    firsts = list(dict.fromkeys(told))
    assert firsts == [
        "at most 16 tokens a picture", "at most 8 tokens a picture", "a picture every 400 ms",
        "a picture every 800 ms", "pictures of 128 tokens", "pictures of 64 tokens",
    ][: len(firsts)]  # fmt: skip
    assert len(firsts) >= 6
    downs = len(told)
    assert machine.places[-1] == downs - (len(machine.lags) - downs)


def test_a_fast_machine_gives_up_nothing():
    machine = Machine(LEVERS, lambda _: 0.3, talkative).run(5)
    assert machine.lags == []
    assert {turn.n_tokens for _, turn in machine.turns} == {32}


def test_one_long_comment_now_and_then_is_no_overload():
    machine = Machine(FIXED, lambda _: 1.0, seldom).run(5)
    assert machine.lags == []


def test_it_does_not_swing():
    """Just too slow for a rung and just fast enough for the next: each retry waits longer."""
    machine = Machine(LEVERS, lambda _: 1.6, talkative).run(60)
    turns = zip(machine.turns, machine.places, strict=True)
    late = [place for (began_ms, _), place in turns if began_ms > 30 * MINUTE_MS]
    steps = sum(a != b for a, b in itertools.pairwise(late))
    assert steps <= 2 * 30 * MINUTE_MS / 80_000


def test_all_comes_back():
    machine = Machine(LEVERS, lambda now_ms: 14 if now_ms < MINUTE_MS else 0.2, talkative)
    machine.run(1)
    assert machine.governor.given_up == 6
    machine.run(15)
    assert machine.governor.given_up == 0
    assert machine.governor.pace == Pace(32, 200.0, 256)


@given(st.integers(1, 20))
def test_after_reset_it_knows_nothing(n):
    governor = Governor(LEVERS)
    turns = [Cost(50.0, 100.0, 60.0, 8)] * 40
    fresh = [governor.push(turn, 200.0 * i) for i, turn in enumerate(turns)]
    for i in range(n):
        governor.push(Cost(0.0, 5000.0, 5000.0, 8), i * 1000.0)
    assert governor.given_up == 6
    governor.reset()
    assert governor.given_up == 0
    assert [governor.push(turn, 200.0 * i) for i, turn in enumerate(turns)] == fresh


def test_a_step_is_told_with_the_staleness_of_its_turn():
    lags = Governor(FIXED).push(Cost(100.0, 900.0, 5000.0, 8), 0.0)
    assert lags == [
        Lag(6000.0, "a picture every 400 ms"),
        Lag(6000.0, "a picture every 800 ms"),
    ]


def test_of_comments_that_are_cut_off_the_first_is_told():
    silent, whole = Cost(0.0, 10.0, 0.0, 0), Cost(0.0, 10.0, 10.0, 9)
    cut = Cost(0.0, 10.0, 10.0, 5, cut_off=True)
    governor = Governor(FIXED)
    turns = [cut, silent, cut, cut, whole, silent, cut]
    told = [governor.push(turn, 200.0 * i) for i, turn in enumerate(turns)]
    lag = Lag(20.0, "comment cut off")
    assert told == [[lag], [], [], [], [], [], [lag]]
    full = Cost(0.0, 10.0, 10.0, 12, cut_off=True)  # as many tokens as a comment may have
    assert Governor(FIXED).push(full, 0.0) == []


def test_a_turn_ends_when_the_goal_does():
    governor = Governor(FIXED)
    assert governor.left_ms(700.0) == GOAL_MS - 700
    assert governor.left_ms(5000.0) == 0


@pytest.mark.parametrize(
    ("levers", "message"),
    [
        (Levers((), (200.0,)), "needed"),
        (Levers((12,), (400.0, 200.0)), "interval_ms"),
        (Levers((12, 24), (200.0,)), "max_tokens"),
        (Levers((12,), (200.0,), picture_tokens=(64, 0)), "picture_tokens"),
        (Levers((12,), (200.0,), picture_tokens=(64, 64)), "picture_tokens"),
    ],
)
def test_levers_out_of_order_are_refused(levers, message):
    with pytest.raises(ValueError, match=message):
        Governor(levers)
