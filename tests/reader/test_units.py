# SPDX-License-Identifier: Apache-2.0
"""Committed words: each once, in order, however the captions were cut."""

from hypothesis import given
from hypothesis import strategies as st

import edgestream as es
from edgestream.data import DATA
from edgestream.events import Draft, Final, Gap, Word
from edgestream.reader.units import CommittedWords

words = st.lists(st.sampled_from(["one", "two", "three.", "four", "two"]), max_size=12)


def units_of(events):
    reader = CommittedWords()
    return [unit for event in events for unit in reader.push(event)]


def said(units):
    return [unit.text for unit in units if unit.text]


def final(text, start_ms=0.0, end_ms=1000.0):
    return Final(text, (), start_ms, end_ms)


@given(words, st.data())
def test_any_drafts_before_the_lines_read_the_same_words(text, data):
    """Lines end within drafts, the next ones begin with the rest."""
    events, rest = [], text
    while rest:
        n_line = data.draw(st.integers(1, len(rest)))
        for _ in range(data.draw(st.integers(0, 3))):
            n_shown = data.draw(st.integers(1, len(rest)))
            n_final = data.draw(st.integers(0, n_shown))
            shown, sure = " ".join(rest[:n_shown]), " ".join(rest[:n_final])
            events.append(Draft(shown, 0.0, 500.0, len(sure)))
        events.append(final(" ".join(rest[:n_line])))
        rest = rest[n_line:]
    units = units_of(events)
    assert said(units) == text
    assert [u.line for u in units if u.ends_line] == [
        e.text for e in events if isinstance(e, Final)
    ]


def test_a_word_is_read_when_no_letter_or_sign_can_come_any_more():
    reader = CommittedWords()
    assert said(reader.push(Draft("And so", 0.0, 500.0, len("And so")))) == ["And"]
    assert said(reader.push(Draft("And so my", 0.0, 600.0, len("And so")))) == ["so"]
    assert said(reader.push(final("And so my friends."))) == ["my", "friends.", ""][:2]


def test_words_have_the_times_of_the_line():
    line = Final("Good day", (Word("Good", 100, 300, 900), Word("day", 400, 700, 900)), 100, 700)
    good, day, end = units_of([line])
    assert (good.start_ms, good.end_ms, day.start_ms, day.end_ms) == (100, 300, 400, 700)
    assert (end.line, end.start_ms, end.end_ms) == ("Good day", 100, 700)


def test_times_never_go_back():
    ends = [u.end_ms for u in units_of([Draft("a b c ", 0, 900, 6), final("a b c d", 0, 800)])]
    assert ends == sorted(ends)


def test_what_a_draft_promised_may_be_lost_in_a_gap():
    events = [Draft("one two ", 0, 500, 8), Gap(500, 900, "overflow"), final("three four")]
    assert said(units_of(events)) == ["one", "two", "three", "four"]


def test_an_empty_line_is_no_line():
    assert units_of([final("  ")]) == []


def test_a_recording_of_a_person_is_read_once():
    events = list(es.listen(DATA / "person.flac", fast=True))
    lines = [event.text for event in events if isinstance(event, Final)]
    units = units_of(events)
    assert said(units) == " ".join(lines).split()
    assert [unit.line for unit in units if unit.ends_line] == lines
    early = CommittedWords()
    n_early = 0
    for event in events:
        n_new = len(said(early.push(event)))
        n_early += n_new if isinstance(event, Draft) else 0
    assert n_early > 10  # of 22 words: they are not read at the line's end only
