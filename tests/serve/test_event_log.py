# SPDX-License-Identifier: Apache-2.0
"""The log of a session's events against a plain list that keeps everything."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from edgestream.events import Draft, Final, Gap
from edgestream.serve.event_log import EventLog

KEPT = 6


def event(kind, n):
    if kind == "draft":
        return Draft(text=str(n), start_ms=0.0, end_ms=1.0, n_final=0)
    if kind == "gap":
        return Gap(start_ms=0.0, end_ms=float(n), reason="")
    return Final(text=str(n), words=[], start_ms=0.0, end_ms=float(n))


class Plain:
    """The same, slow but sure: all events in a list, and what may be forgotten of them."""

    def __init__(self):
        self.all, self.acked, self.overflowed = [], 0, 0

    def push(self, events):
        self.all += events
        while len(kept := self.kept()) > KEPT:
            self.overflowed = kept[0][0]

    def kept(self):
        """An event is there unless it is acknowledged, had no room, or is an old draft."""
        newest = len(self.all)
        return [
            (seq, each)
            for seq, each in enumerate(self.all, 1)
            if seq > max(self.acked, self.overflowed)
            and (not isinstance(each, Draft) or seq == newest)
        ]

    def acknowledge(self, seq):
        self.acked = max(self.acked, seq)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.lists(st.sampled_from(["draft", "final", "gap"]))),
        st.tuples(st.just("ack"), st.integers(0, 40)),
    ),
    max_size=25,
)


@given(STEPS)
def test_it_keeps_what_a_plain_list_says(steps):
    log, plain = EventLog(KEPT), Plain()
    for n, (what, given_) in enumerate(steps):
        if what == "push":
            events = [event(kind, n) for kind in given_]
            log.push(events)
            plain.push(events)
        else:
            seq = min(given_, len(plain.all))  # a client has no more than there is
            log.acknowledge(seq)
            plain.acknowledge(seq)
        assert log.newest == len(plain.all)
        for after in range(log.newest + 2):
            assert log.after(after) == [(s, e) for s, e in plain.kept() if s > after]
            assert log.after(after, 2) == [(s, e) for s, e in plain.kept() if s > after][-2:]
            assert log.has_all_after(after) == (plain.overflowed <= after <= log.newest)


@given(st.lists(st.lists(st.sampled_from(["draft", "final", "gap"]), max_size=4), max_size=12))
def test_who_follows_is_told_all_that_stays_in_order(pushes):
    async def follow():
        log, told = EventLog(1000), []

        async def read():
            async for seq, each in log.follow(0):
                told.append((seq, each))

        reading = asyncio.create_task(read())
        for n, kinds in enumerate(pushes):
            log.push([event(kind, n) for kind in kinds])
            await asyncio.sleep(0)
        log.finish()
        await reading
        return log, told

    log, told = asyncio.run(follow())
    assert [seq for seq, _ in told] == sorted({seq for seq, _ in told})
    lasting = [each for each in log.after(0) if not isinstance(each[1], Draft)]
    assert [each for each in told if not isinstance(each[1], Draft)] == lasting
    n_lasting = sum(kind != "draft" for kinds in pushes for kind in kinds)
    assert len(lasting) == n_lasting


def test_who_is_too_far_behind_is_told_no_more():
    async def follow():
        log = EventLog(KEPT)
        log.push([event("final", n) for n in range(2)])
        told = []
        async for seq, _ in log.follow(0):
            told.append(seq)
            log.push([event("final", n) for n in range(3 * KEPT)])
        return log, told

    log, told = asyncio.run(follow())
    assert told == [1, 2]  # what it was given at once; then it ends, and does not skip
    assert not log.has_all_after(2)
