# SPDX-License-Identifier: Apache-2.0
"""Answers that are written beside, and threads that look at how many wait."""

import sys

import pytest

from edgestream.reader.writer import Writer


@pytest.fixture
def threads_take_turns_often():
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


def test_what_is_written_may_ask_how_many_wait(threads_take_turns_often):
    writer = Writer(beside=True)
    events = []
    for number in range(1000):
        events += writer.submit(
            lambda number=number: (writer.n_waiting, number), lambda found: [found[1]]
        )
        events += writer.done()
    events += writer.finish()
    assert events == list(range(1000))
    assert writer.n_waiting == 0
    writer.close()
