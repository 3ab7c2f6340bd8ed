# SPDX-License-Identifier: Apache-2.0
"""Lines that are typed, as questions."""

import threading

from edgestream.sources.questions import MAX_WAITING, Questions

WAIT_S = 60.0


def taken(questions):
    questions._reader.join(WAIT_S)
    return list(iter(questions.take, None))


def test_lines_that_say_something_are_questions_in_order():
    assert taken(Questions(["who?\n", "", "  \n", " and\twhy? "])) == ["who?", "and why?"]
    assert taken(Questions([])) == []


def test_whoever_writes_too_many_waits_and_none_is_lost():
    given, at_limit = [], threading.Event()

    def lines():
        for i in range(3 * MAX_WAITING):
            given.append(f"{i}")
            if len(given) == MAX_WAITING + 1:
                at_limit.set()
            yield f"{i}"

    questions = Questions(lines())
    assert at_limit.wait(WAIT_S)
    assert questions.any_wait
    got = []
    while len(got) < 3 * MAX_WAITING:
        if question := questions.take():
            got.append(question)
            assert len(given) - len(got) <= MAX_WAITING + 1
    assert got == given
    assert questions.take() is None
