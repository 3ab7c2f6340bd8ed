# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from edgestream.captions.clock import Clock


def test_without_gaps_stream_time_is_source_time():
    assert Clock().source_ms(1234.5) == 1234.5


def test_a_gap_moves_all_later_times():
    clock = Clock()
    clock.skip(1000, 500)
    assert clock.source_ms(999) == 999
    assert clock.source_ms(1000) == 1500
    clock.skip(2000, 1)
    assert clock.source_ms(2500) == 3001


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), max_size=30), st.floats(0, 3e5))
def test_forgetting_changes_no_later_time(gaps, asked_ms):
    whole, forgetful = Clock(), Clock()
    at_ms = 0.0
    for wait_ms, lost_ms in gaps:
        at_ms += wait_ms
        whole.skip(at_ms, lost_ms)
        forgetful.skip(at_ms, lost_ms)
        forgetful.forget_before(min(asked_ms, at_ms))
    assert forgetful.source_ms(asked_ms) == whole.source_ms(asked_ms)


def test_a_million_gaps_take_no_memory():
    clock = Clock()
    for i in range(10_000):
        clock.skip(1000.0 * i, 1)
        clock.forget_before(1000.0 * i)
    assert len(clock._starts_ms) <= 2


def test_what_was_heard_around_a_loss_is_the_longer_part():
    clock = Clock()
    clock.skip(1000.0, 5000.0)
    clock.skip(2000.0, 5000.0)
    assert clock.unbroken(100.0, 900.0) == (100.0, 900.0)
    assert clock.unbroken(500.0, 1100.0) == (500.0, 1000.0)
    assert clock.unbroken(900.0, 2050.0) == (1000.0, 2000.0)
    assert clock.unbroken(1000.0, 1000.0) == (1000.0, 1000.0)
    assert clock.unbroken(0.0, 1000.0) == (0.0, 1000.0)
    assert clock.unbroken(1000.0, 1500.0) == (1000.0, 1500.0)
