# SPDX-License-Identifier: Apache-2.0
"""What waits for a reader: whole lines are left out, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from edgestream.events import Lag
from edgestream.reader.units import Unit
from edgestream.reader.waiting import Asked, WaitingUnits


def lines(*lengths):
    """Units of lines with so many words each; a second for each word."""
    units, at = [], 0
    for number, n_words in enumerate(lengths):
        words = [
            Unit(f"{number}.{i}", 1000.0 * (at + i), 1000.0 * (at + i + 1)) for i in range(n_words)
        ]
        at += n_words
        units += [
            *words,
            Unit("", words[0].start_ms, words[-1].end_ms, " ".join(w.text for w in words)),
        ]
    return units


def drained(waiting):
    return [waiting.pop() for _ in range(len(waiting))]


def test_what_fits_waits_in_order():
    waiting = WaitingUnits(10)
    units = lines(2, 3)
    assert [waiting.push(unit) for unit in units] == [None] * 7
    assert drained(waiting) == units


def test_the_oldest_lines_are_left_out_and_counted():
    waiting = WaitingUnits(8)
    units = lines(2, 2, 2, 2)  # three units each
    said = [waiting.push(unit) for unit in units]
    assert [each for each in said if each] == [Lag(2000.0, "reading along left out 2 lines")]
    assert drained(waiting) == units[6:]


def test_a_line_that_was_begun_is_read_to_its_end():
    waiting = WaitingUnits(6)
    units = lines(3, 2, 2)
    for unit in units[:4]:
        waiting.push(unit)
    assert waiting.pop() == units[0]
    said = [waiting.push(unit) for unit in units[4:]]
    assert [each.action for each in said if each] == ["reading along left out a line"]
    assert drained(waiting) == [*units[1:4], *units[7:]]


def test_without_a_limit_nothing_is_left_out():
    waiting = WaitingUnits(None)
    units = lines(*[5] * 500)
    assert not any(waiting.push(unit) for unit in units)
    assert len(waiting) == len(units)


@given(
    st.lists(st.integers(1, 9), max_size=30), st.integers(2, 40), st.lists(st.booleans()),
    st.sets(st.integers(0, 200)),
)  # fmt: skip
def test_what_is_read_are_whole_lines_and_all_questions(lengths, max_units, taken, asked_at):
    waiting = WaitingUnits(max_units)
    given_lines = lines(*lengths)
    read, n_asked, n_left_out = [], 0, 0
    for number, unit in enumerate(given_lines):
        if number in asked_at:
            waiting.push(Asked(str(number)))
            n_asked += 1
        if lag := waiting.push(unit):
            counted = lag.action.split()[-2]
            n_left_out += 1 if counted == "a" else int(counted)
        if number < len(taken) and taken[number] and len(waiting):
            read.append(waiting.pop())
    read += drained(waiting)
    questions = [item for item in read if isinstance(item, Asked)]
    assert len(questions) == n_asked
    assert [int(each.question) for each in questions] == sorted(int(e.question) for e in questions)
    units = [item for item in read if isinstance(item, Unit)]
    whole = [unit.line for unit in units if unit.ends_line]
    assert " ".join(unit.text for unit in units if unit.text) == " ".join(whole)
    assert len(whole) + n_left_out == len(lengths)
