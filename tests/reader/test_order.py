# SPDX-License-Identifier: Apache-2.0
"""A line comes before its translation."""

from hypothesis import given
from hypothesis import strategies as st

from edgestream.events import Draft, Final, Gap, Note, Translation, TranslationDraft
from edgestream.reader.order import LineFirst

LATE = Final("It is late.", (), 0, 2)
TARD = Translation("Il est tard.", "fr", "It is late.", 0, 2, 2)
NEXT = TranslationDraft("Nous", "fr", 2, 3)


def ordered(*events):
    order = LineFirst()
    return [each for event in events for each in order.push([event])] + order.finish()


def test_a_translation_waits_for_the_line_that_is_being_spoken():
    spoken = Draft("It is  late. We", 0, 2, 11)
    assert ordered(spoken, TARD, NEXT, LATE) == [spoken, LATE, TARD, NEXT]


def test_a_line_may_end_within_the_last_words():
    before = Final("It is", (), 0, 1)
    for rest in ["late.", "late. We"]:
        spoken, line = Draft(rest, 1, 2), Final(rest, (), 1, 2)
        assert ordered(before, spoken, TARD, line) == [before, spoken, line, TARD]


def test_a_finished_line_is_not_waited_for():
    spoken = Draft("We go", 2, 3)
    assert ordered(LATE, spoken, NEXT, TARD) == [LATE, spoken, NEXT, TARD]


def test_a_line_that_never_comes_is_not_waited_for():
    spoken, gap = Draft("It is late.", 0, 2), Gap(2, 3, "lost")
    assert ordered(spoken, TARD, gap) == [spoken, gap, TARD]
    assert ordered(spoken, TARD) == [spoken, TARD]


@given(
    st.lists(st.sampled_from([LATE, TARD, NEXT, Draft("It is late.", 0, 2), Note("", "n", 0, 1)]))
)
def test_nothing_is_lost_and_each_kind_stays_in_order(events):
    found = ordered(*events)
    for kinds in [(Draft, Final, Note), (Translation, TranslationDraft)]:
        assert [e for e in found if isinstance(e, kinds)] == [
            e for e in events if isinstance(e, kinds)
        ]
