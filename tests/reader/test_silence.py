# SPDX-License-Identifier: Apache-2.0
"""Silence of a process, by a clock that jumps."""

import pytest

from edgestream.reader import silence
from edgestream.reader.silence import Silence


@pytest.fixture
def clock(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(silence.time, "monotonic", lambda: now_s[0])
    return now_s


def test_time_without_a_sign_of_life_adds_up(clock):
    quiet = Silence()
    for number in range(8):
        assert quiet.look_s() == 0.5 * number
        clock[0] += 0.5
    quiet.end()
    assert quiet.look_s() == 0.0


def test_a_time_in_which_nobody_looked_counts_little(clock):
    quiet = Silence()
    clock[0] += 3600.0  # stopped by Ctrl-Z
    assert quiet.look_s() == silence.MAX_STEP_S
