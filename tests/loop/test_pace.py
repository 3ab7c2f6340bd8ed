# SPDX-License-Identifier: Apache-2.0
"""How often a window is decoded, with a source that waits and with one that runs ahead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgestream.speech.reencoded.pace import MAX_UNIT_MS, Pace

UNIT, ROW_MS = 40, 10.0


def units(pace, sizes):
    """Rows in pieces of the sizes; the lengths of the units that were decoded, and what was told.
    Rows that wait are cut as the stages cut them."""
    decoded, told, waiting = [], [], 0
    for n in sizes:
        while n:
            step = pace.rows_to_go(waiting)
            assert step >= 1
            taken = min(n, step)
            waiting, n = waiting + taken, n - taken
            if pace.is_due(waiting):
                decoded.append(waiting)
                told += pace.told(waiting)
                waiting = 0
    return decoded, told, waiting


@given(st.lists(st.integers(1, 300), max_size=30))
def test_a_source_that_waits_has_units_of_one_length(sizes):
    decoded, told, waiting = units(Pace(UNIT, ROW_MS, None), sizes)
    assert set(decoded) <= {UNIT}
    assert (len(decoded), waiting) == divmod(sum(sizes), UNIT)
    assert told == []


@given(st.lists(st.integers(1, 300), max_size=30), st.lists(st.floats(0, 20_000), min_size=1))
def test_all_rows_are_decoded_in_units_of_8_s_at_most_however_far_behind(sizes, behind_ms):
    asked = iter(behind_ms * 10_000)
    pace = Pace(UNIT, ROW_MS, lambda: next(asked))
    decoded, _, waiting = units(pace, sizes)
    assert sum(decoded) + waiting == sum(sizes)
    assert all(UNIT <= n <= MAX_UNIT_MS / ROW_MS for n in decoded)
    assert waiting < MAX_UNIT_MS / ROW_MS


def test_a_machine_that_is_behind_reads_first_and_tells_each_doubling_once():
    behind = [0.0]
    pace = Pace(UNIT, ROW_MS, lambda: behind[0])
    lengths, lags = [], []
    for backlog in (0, 800, 1000, 1700, 1700, 900, 0, 0, 800):  # ms that wait at each unit's start
        waiting, left = 0, backlog
        while not pace.is_due(waiting):
            behind[0] = left
            n = pace.rows_to_go(waiting)
            waiting, left = waiting + n, max(0.0, left - n * ROW_MS)
            behind[0] = left
        lengths.append(waiting)
        lags.append(pace.told(waiting))
    assert lengths[0] == UNIT
    assert max(lengths) > 2 * UNIT
    assert [bool(lag) for lag in lags] == [
        False,
        True,
        False,
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    (lag,) = lags[1]
    assert "not every 0.4 s" in lag.action


def test_a_source_that_stays_ahead_gets_units_of_8_s():
    pace = Pace(UNIT, ROW_MS, lambda: 1e6)
    decoded, told, waiting = units(pace, [200] * 20)
    assert decoded == [800] * 5
    assert waiting == 0
    assert len(told) == 1
    pace.reset()
    assert len(units(pace, [800])[1]) == 1


def test_a_short_unit_before_a_pause_does_not_tell_that_it_is_over():
    pace = Pace(UNIT, ROW_MS, lambda: 5000.0)
    assert pace.told(3 * UNIT)
    assert pace.told(UNIT - 1) == []
    assert pace.told(4 * UNIT) == []  # told already
    assert pace.told(UNIT) == []
    assert pace.told(3 * UNIT)


@pytest.mark.parametrize("unit_rows", [1, 25, 100, 800])
def test_rows_to_go_end_at_a_unit_and_at_8_s(unit_rows):
    pace = Pace(unit_rows, ROW_MS, lambda: 1e6)
    decoded, _, _ = units(pace, [4000])
    assert set(decoded) == {800}
